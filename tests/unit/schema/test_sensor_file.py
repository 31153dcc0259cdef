"""Sensor files: what is read, and how everything wrong in any of them is told at once."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from sensorpipe_schema.manifest_files import SensorFilesError, load_files
from sensorpipe_schema.names import NAME_RULE
from sensorpipe_schema.sensor import API_VERSION, Sensor
from sensorpipe_schema.signal_spec import Normal
from sensorpipe_schema.strict_yaml import DocumentError, read_documents
from support.sensors import sensors

ROOT = Path(__file__).parents[3]


def text(name: str, interval: str = "5s", facility: str = "f") -> str:
    return (
        f"apiVersion: {API_VERSION}\nkind: Sensor\nmetadata: {{name: {name}}}\n"
        f"spec:\n  facility: {facility}\n  interval: {interval}\n"
        "  measurements: [{name: t, signal: {constant: {value: 1}}}]\n"
    )


def problems(*paths: Path) -> list[str]:
    with pytest.raises(SensorFilesError) as caught:
        load_files(paths)
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
    return [str(problem).replace(f"{paths[0].parent}/", "") for problem in caught.value.problems]


def test_the_samples_are_the_demo() -> None:
    found = load_files([ROOT / "manifests/samples"])
    assert [sensor.spec.facility for sensor in found] == ["facility_1", "facility_2", "facility_3"]
    for sensor, share in zip(found, (0.01, 0.05, 0.1), strict=True):
        assert sensor.spec.interval_ms == 5000
        for measurement, mean in zip(sensor.spec.measurements, (50, 1013, 20), strict=True):
            assert isinstance(measurement.signal, Normal)
            assert measurement.signal.mean == mean
            assert measurement.signal.stdev == pytest.approx(share * mean)


def test_folders_documents_and_json(tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text(f"---\n{text('b')}---\n{text('c')}---\n")
    (tmp_path / "a.yaml").write_text(text("a"))
    manifest = Sensor.parse(yaml.safe_load(text("d"))).to_manifest()
    (tmp_path / "d.json").write_text(json.dumps(manifest, indent="\t"))
    (tmp_path / "notes.txt").write_text("no Sensor")
    assert [sensor.name for sensor in load_files([tmp_path])] == ["a", "b", "c", "d"]


class Quoting(yaml.SafeDumper):
    """Writes all text in quotes.

    PyYAML leaves them out of what YAML 1.1 takes for text; `0e0` is a number to kubectl and here.
    """


Quoting.add_representer(
    str, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:str", value, style='"')
)


def write_yaml(manifest: dict[str, Any]) -> str:
    return yaml.dump(manifest, Dumper=Quoting)


@given(manifest=sensors)
@example(manifest=yaml.safe_load(text("'0e0'", facility="'0e0'")))
def test_a_written_manifest_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, manifest: dict[str, Any]
) -> None:
    sensor = Sensor.parse(manifest)
    for write, suffix in ((write_yaml, "yaml"), (json.dumps, "json")):
        file = tmp_path_factory.getbasetemp() / f"written.{suffix}"
        file.write_text(write(sensor.to_manifest()))
        assert load_files([file]) == [sensor]


def test_the_file_the_field_and_what_is_allowed(tmp_path: Path) -> None:
    file = tmp_path / "boiler.yaml"
    file.write_text(text("boiler", interval="5x"))
    assert problems(file) == ["boiler.yaml: spec.interval: must be between 10ms and 1h; got '5x'"]


def test_all_files_and_documents_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"{text('a', interval='1')}---\n{text('b', facility='B')}")
    (tmp_path / "b.yaml").write_text("kind: Pod\napiVersion: v1\n")
    (tmp_path / "c.yaml").write_text("a: [1\nb: }\n")
    (tmp_path / "d.yaml").write_text("# nothing yet\n")
    found = problems(*sorted(tmp_path.iterdir()), tmp_path / "e.yaml")
    assert [line.split(";")[0] for line in found] == [
        "a.yaml: document 1 (a): spec.interval: must be between 10ms and 1h",
        f"a.yaml: document 2 (b): spec.facility: must be {NAME_RULE}",
        "b.yaml: only kind: Sensor or Feed of sensorpipe.dev/v1alpha1 is taken",
        "c.yaml: line 2, column 2: not YAML: did not find expected ',' or ']'",
        "d.yaml: holds no Sensor and no Feed",
        "e.yaml: cannot be read: No such file or directory",
    ]


def test_a_name_is_taken_once_in_a_namespace(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text("a"))
    (tmp_path / "b.yaml").write_text(f"{text('b')}---\n{text('a')}")
    found = problems(*sorted(tmp_path.iterdir()))
    assert found == ["b.yaml: document 2: metadata.name: must be unique; 'a' is also in a.yaml"]
    (tmp_path / "b.yaml").write_text(text("a, namespace: other"))
    assert len(load_files([tmp_path])) == 2


def test_an_empty_folder_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "sensors").mkdir()
    assert problems(tmp_path / "sensors") == [
        "sensors: a folder without any file *.yaml, *.yml, *.json"
    ]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("twice.yaml", b"a: 1\na: 2\n", "line 2, column 1: not YAML: duplicate key 'a'"),
        ("twice.json", b'{"a": 1, "a": 2}', "not JSON: duplicate key 'a'"),
        ("half.json", b'{"a": \n', "line 2, column 1: not JSON: Expecting value"),
        ("deep.yaml", b"[" * 500_000, "column 51: not YAML: nested more than 50 deep"),
        ("deep.json", b"[" * 500_000, "not JSON: nested too deeply"),
        (
            "tag.yaml",
            b"a: !!python/name:os.system x",
            "line 1, column 4: not YAML: YAML tags are not supported",
        ),
        ("tag.yaml", b"a: !!int x", "YAML tags are not supported; got tag:yaml.org,2002:int"),
        ("key.yaml", b"[a]: 1", "a key must be text"),
        ("bytes.yaml", b"\xff\xfe\xfd", "must be UTF-8"),
        ("nul.yaml", b"a: \x01", "not YAML: unacceptable character"),
        ("large.yaml", b"#" * (1024 * 1024 + 1), "must be at most 1024 KiB"),
        ("alias.yaml", b"a: *b", "line 1, column 4: not YAML: found undefined alias"),
    ],
)
def test_what_is_no_document(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(DocumentError) as caught:
        read_documents(file)
    assert problem in str(caught.value)


def test_scalars_are_those_of_yaml_1_2(tmp_path: Path) -> None:
    file = tmp_path / "scalars.yaml"
    file.write_text(
        "[1e3, -2.5E-1, .5, 5., 12, -7, +1, 010, 1:30, yes, on, true, False, ~, null, 2024-01-01, "
        "0x1f, 1_000, <<, 'true', \"5\", .inf]"
    )
    assert read_documents(file)[0] == [
        *(1000.0, -0.25, 0.5, 5.0, 12, -7, 1, "010", "1:30", "yes", "on", True, False, None, None),
        *("2024-01-01", "0x1f", "1_000", "<<", "true", "5", float("inf")),
    ]


def test_aliases_may_repeat_but_not_explode(tmp_path: Path) -> None:
    file = tmp_path / "alias.yaml"
    shared = (
        text("a")
        .replace("signal: {", "signal: &s {")
        .replace("}]\n", "}, {name: u, signal: *s}]\n")
    )
    file.write_text(shared)
    first, second = load_files([file])[0].spec.measurements
    assert first.signal == second.signal
    lines = ["r0: &r0 {a: b}"]
    lines += [f"r{i}: &r{i} [{', '.join([f'*r{i - 1}'] * 9)}]" for i in range(1, 30)]
    file.write_text(f"{text('a')}  resources:\n" + "\n".join(f"    {line}" for line in lines))
    assert "spec.resources.r0: unknown field; allowed are limits, requests" in problems(file)[0]
    file.write_text(text("a").replace("{name: a}", "&m {name: a, labels: *m}"))
    assert "metadata.labels.labels: must be text" in problems(file)[0]
