"""The folder of Feed files: what is in use when some of them change or are wrong."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from sensorpipe_compactor.epoch.subscriptions import Subscriptions
from sensorpipe_compactor.feeds.folder import FeedFolder
from sensorpipe_compactor.settings import Settings
from sensorpipe_runtime.settings import SettingsError
from support.bad_feeds import BAD
from support.feeds import manifest

RULES = [{"sensor": "t", "at": "/t"}]


def write(folder: Path, file: str, *topics: str, **spec: Any) -> None:
    """Write Feeds, each named by its topic's first level."""
    made = []
    for topic in topics:
        one = manifest(topic=topic, facility="f", readings=RULES, **spec)
        made.append({**one, "metadata": {"name": topic.split("/")[0].strip("{}")}})
    (folder / f"{file}.yaml").write_text(yaml.safe_dump_all(made))


def filters(folder: FeedFolder) -> list[str]:
    found = folder.read()
    assert found is not None, "nothing has changed"
    return found.filters


def test_files_that_do_not_change_are_not_read_again(tmp_path: Path) -> None:
    write(tmp_path, "a", "a/+", "b/+")
    (tmp_path / "notes.txt").write_text("no Feed")
    (tmp_path / "..data").mkdir()
    folder = FeedFolder(tmp_path)
    assert filters(folder) == ["a/+", "b/+"]
    assert folder.read() is None
    write(tmp_path, "c", "c/+")
    assert filters(folder) == ["a/+", "b/+", "c/+"]
    (tmp_path / "a.yaml").unlink()
    assert filters(folder) == ["c/+"]


@pytest.mark.parametrize("bad", ["{", "kind: Feed", "kind: Pod", "a: [" * 60, "", "# none\n"])
def test_a_bad_file_keeps_what_was_right_and_stops_no_other(tmp_path: Path, bad: str) -> None:
    write(tmp_path, "a", "a/+")
    folder = FeedFolder(tmp_path)
    folder.read()
    (tmp_path / "a.yaml").write_text(bad)
    write(tmp_path, "b", "b/+")
    assert filters(folder) == ["a/+", "b/+"]
    assert list(folder.problems) == ["a.yaml"]
    write(tmp_path, "a", "c/+")
    assert filters(folder) == ["b/+", "c/+"]
    assert folder.problems == {}


def test_every_bad_feed_is_refused_with_its_field_and_the_good_one_stays(tmp_path: Path) -> None:
    write(tmp_path, "good", "good/+")
    for number, (spec, _, _) in enumerate(BAD):
        made = {**manifest(**spec), "metadata": {"name": f"bad-{number}"}}
        (tmp_path / f"bad-{number:02}.yaml").write_text(yaml.safe_dump(made))
    folder = FeedFolder(tmp_path)
    assert filters(folder) == ["good/+"]
    assert len(BAD) >= 40
    for number, (_, field, message) in enumerate(BAD):
        (problem,) = folder.problems[f"bad-{number:02}.yaml"]
        assert problem.startswith(f"{field}: ")
        assert message in problem


def test_a_feed_that_overlaps_one_in_use_is_refused_naming_both(tmp_path: Path) -> None:
    write(tmp_path, "b", "b/+")
    folder = FeedFolder(tmp_path)
    folder.read()
    write(tmp_path, "a", "{site}/x")
    assert filters(folder) == ["b/+"]
    (problem,) = folder.problems["a.yaml"]
    assert all(text in problem for text in ("'{site}/x'", "'b/+'", "'b'", "b.yaml"))
    write(tmp_path, "b", "c/+/+")
    assert filters(folder) == ["+/x", "c/+/+"]
    assert folder.problems == {}


def test_two_files_may_exchange_their_topics_at_once(tmp_path: Path) -> None:
    write(tmp_path, "one", "a/+")
    write(tmp_path, "two", "b/+")
    folder = FeedFolder(tmp_path)
    folder.read()
    write(tmp_path, "one", "b/+")
    write(tmp_path, "two", "c/+")
    assert filters(folder) == ["b/+", "c/+"]


def test_a_suspended_feed_takes_nothing_and_overlaps_nothing(tmp_path: Path) -> None:
    write(tmp_path, "a", "a/+", suspend=True)
    write(tmp_path, "b", "{x}/y")
    folder = FeedFolder(tmp_path)
    assert filters(folder) == ["+/y"]
    assert folder.problems == {}


def test_a_folder_that_is_not_there_is_named_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="SENSORPIPE_FEEDS: must be a folder with Feed files"):
        Settings.read({"SENSORPIPE_FEEDS": str(tmp_path / "none")})
    assert Settings.read({"SENSORPIPE_FEEDS": str(tmp_path)}).feeds == tmp_path
    assert Settings.read({}).feeds is None


def test_filters_that_are_gone_are_ended_and_those_that_come_back_are_not() -> None:
    subscriptions = Subscriptions(["r/#", "a/+"])
    former = subscriptions.former_filters
    subscriptions.want(["r/#", "b/+"])
    assert former == {"a/+"}
    assert subscriptions.header()[1] == b"b/+\nr/#\n\na/+"
    subscriptions.want(["r/#", "a/+"])
    assert former == {"b/+"}
