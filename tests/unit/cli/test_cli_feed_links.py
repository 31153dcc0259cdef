"""The files with Feeds that the compactor of a run sees, as they are added, changed and removed."""

from pathlib import Path

import pytest
from sensorpipe_cli.runner.feed_links import FeedLinks


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """A folder that was named, with a Feed and a Sensor."""
    folder = tmp_path / "named"
    folder.mkdir()
    (folder / "a.yaml").write_text("a Feed")
    (folder / "sensor.yaml").write_text("a Sensor")
    return folder


def seen(folder: Path) -> dict[str, str]:
    """Return what the compactor reads, by the name of the file."""
    return {
        file.name: file.read_text(encoding="utf-8")
        for file in sorted(folder.iterdir())
        if file.is_file()
    }


def test_files_with_feeds_are_seen_as_they_are_at_any_time(tmp_path: Path, named: Path) -> None:
    links = FeedLinks(tmp_path / "feeds", [named], [named / "a.yaml"])
    assert seen(tmp_path / "feeds") == {"0000-a.yaml": "a Feed"}
    (named / "new.yaml.tmp").write_text("a changed Feed")
    (named / "new.yaml.tmp").rename(named / "a.yaml")  # as editors do
    links.link_new()
    assert seen(tmp_path / "feeds") == {"0000-a.yaml": "a changed Feed"}
    (named / "a.yaml").unlink()
    assert seen(tmp_path / "feeds") == {}


def test_files_that_are_added_are_seen_and_so_is_one_that_comes_back(
    tmp_path: Path, named: Path
) -> None:
    links = FeedLinks(tmp_path / "feeds", [named], [named / "a.yaml"])
    (named / "b.yaml").write_text("another one")
    (named / "notes.txt").write_text("no manifest")
    links.link_new()
    links.link_new()
    assert seen(tmp_path / "feeds") == {"0000-a.yaml": "a Feed", "0001-b.yaml": "another one"}
    (named / "b.yaml").unlink()
    links.link_new()
    (named / "b.yaml").write_text("again")
    links.link_new()
    assert seen(tmp_path / "feeds") == {"0000-a.yaml": "a Feed", "0001-b.yaml": "again"}


def test_a_file_that_was_named_itself_is_alone_and_an_earlier_run_is_forgotten(
    tmp_path: Path, named: Path
) -> None:
    FeedLinks(tmp_path / "feeds", [named], [named / "a.yaml", named / "sensor.yaml"])
    links = FeedLinks(tmp_path / "feeds", [named / "a.yaml"], [named / "a.yaml"])
    (named / "b.yaml").write_text("not asked for")
    links.link_new()
    assert seen(tmp_path / "feeds") == {"0000-a.yaml": "a Feed"}


def test_a_folder_that_goes_away_stops_nothing(tmp_path: Path, named: Path) -> None:
    links = FeedLinks(tmp_path / "feeds", [named], [named / "a.yaml"])
    named.rename(tmp_path / "elsewhere")
    links.link_new()
    assert seen(tmp_path / "feeds") == {}
