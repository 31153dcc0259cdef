"""Files of Feeds and Sensors: what is read, and what is said of several together."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from sensorpipe_schema.manifest_files import SensorFilesError, load_files, load_manifests
from support.feeds import GOOD, manifest
from support.sensors import GOOD as SENSOR


def write(folder: Path, name: str, *manifests: dict[str, Any]) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump_all(manifests))
    return path


def named(name: str, topic: str, **spec: Any) -> dict[str, Any]:
    made = manifest(**{**GOOD["spec"], "topic": topic, **spec})
    made["metadata"]["name"] = name
    return made


def test_a_file_may_hold_both_kinds(tmp_path: Path) -> None:
    path = write(tmp_path, "both", SENSOR, named("a", "a/{device}"), named("b", "b/{device}"))
    found = load_manifests([tmp_path])
    assert [sensor.name for sensor in found.sensors] == ["boiler"]
    assert [feed.name for feed in found.feeds] == ["a", "b"]
    assert found.places == {("default", "a"): str(path), ("default", "b"): str(path)}
    with pytest.raises(SensorFilesError, match="only Sensors are taken here; 'a' is a Feed"):
        load_files([tmp_path])


def test_overlapping_topics_name_both_feeds(tmp_path: Path) -> None:
    write(tmp_path, "1", named("one", "a/{device}"), named("asleep", "a/{device}", suspend=True))
    write(tmp_path, "2", named("two", "{device}/b"), named("three", "c/{device}/d"))
    with pytest.raises(SensorFilesError) as caught:
        load_manifests([tmp_path])
    (problem,) = caught.value.problems
    assert str(problem).replace(f"{tmp_path}/", "") == (
        "2.yaml: document 1: spec.topic: must not overlap another Feed; '{device}/b' and "
        "'a/{device}' of 'one' in 1.yaml: document 1 take the same topics"
    )


def test_a_feed_and_a_sensor_may_share_a_name_but_not_two_feeds(tmp_path: Path) -> None:
    write(tmp_path, "1", SENSOR, named("boiler", "a/{device}"))
    assert len(load_manifests([tmp_path]).feeds) == 1
    write(tmp_path, "2", named("boiler", "b/{device}"))
    with pytest.raises(SensorFilesError, match=r"metadata\.name: must be unique; 'boiler' is also"):
        load_manifests([tmp_path])


def test_a_bad_feed_is_reported_with_file_document_and_field(tmp_path: Path) -> None:
    write(tmp_path, "bad", named("a", "a/#"), named("b", "b/{device}", facility="{x}"))
    with pytest.raises(SensorFilesError) as caught:
        load_manifests([tmp_path])
    assert [(p.document, p.field) for p in caught.value.problems] == [
        ("document 1 (a)", "spec.topic"),
        ("document 2 (b)", "spec.facility"),
    ]
