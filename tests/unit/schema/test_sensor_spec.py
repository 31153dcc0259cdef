"""What a Sensor may say, and what is said about one that is wrong."""

from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_schema.sensor import Sensor, SensorError
from sensorpipe_schema.signal_spec import Constant, Linear, Normal, RandomWalk, Sine, Sum
from support.sensors import GOOD, MISSING, SIGNAL, WRONG, changed, sensors


def test_defaults() -> None:
    sensor = Sensor.parse(GOOD)
    spec = sensor.spec
    assert (sensor.name, sensor.key) == ("boiler", ("default", "boiler"))
    assert (spec.count, spec.seed, spec.replicas, spec.suspend) == (1, 0, 1, False)
    assert spec.interval_ms == 5000
    assert spec.measurements[0].unit == "°C"
    assert spec.measurements[1].unit is None


@pytest.mark.parametrize(
    ("signal", "meaning"),
    [
        ({"constant": {"value": -3}}, Constant(-3)),
        ({"normal": {"mean": 1, "stdev": 0}}, Normal(1, 0)),
        ({"sine": {"amplitude": 2, "period": "1h"}}, Sine(0, 2, 3_600_000, 0)),
        (
            {"sine": {"mean": 1, "amplitude": 2, "period": "1d", "phase": 0.25}},
            Sine(1, 2, 86_400_000, 0.25),
        ),
        ({"linear": {"start": 1, "perHour": -0.5}}, Linear(1, -0.5)),
        ({"randomWalk": {"start": 20, "step": 0.1}}, RandomWalk(20, 0.1)),
        (
            {"sum": [{"constant": {"value": 1}}, {"normal": {"mean": 0, "stdev": 1}}]},
            Sum((Constant(1), Normal(0, 1))),
        ),
    ],
)
def test_signals(signal: dict[str, Any], meaning: object) -> None:
    assert Sensor.parse(changed(SIGNAL, signal)).spec.measurements[0].signal == meaning


@pytest.mark.parametrize(("path", "value", "field", "message"), WRONG)
def test_what_is_wrong_is_named(path: str, value: Any, field: str, message: str) -> None:
    with pytest.raises(SensorError) as caught:
        Sensor.parse(changed(path, value))
    assert field in [problem.field for problem in caught.value.problems]
    assert f"{field}: " in str(caught.value)
    assert message in dict(caught.value.problems)[field]


def test_all_that_is_wrong_is_reported_at_once() -> None:
    manifest = changed("spec.interval", "5x")
    manifest["spec"]["facility"] = "Boiler"
    manifest["spec"]["measurements"][1]["signal"]["normal"]["stdev"] = -1
    manifest["metadata"]["name"] = ""
    with pytest.raises(SensorError) as caught:
        Sensor.parse(manifest)
    assert {problem.field for problem in caught.value.problems} == {
        "metadata.name",
        "spec.interval",
        "spec.facility",
        "spec.measurements[1].signal.normal.stdev",
    }


@pytest.mark.parametrize(
    "manifest",
    [
        *(None, 1, "Sensor", [], {}, {"kind": "Deployment", "apiVersion": "apps/v1", "spec": {}}),
        *({**GOOD, "apiVersion": "sensorpipe.dev/v2"}, {**GOOD, "kind": ["Sensor"]}),
    ],
)
def test_other_kinds_are_refused_in_one_sentence(manifest: Any) -> None:
    with pytest.raises(SensorError, match=r"^only kind: Sensor of sensorpipe\.dev/v1alpha1 is"):
        Sensor.parse(manifest)


def test_what_a_cluster_adds_is_passed_over() -> None:
    manifest = deepcopy(GOOD)
    manifest["metadata"] |= {"uid": "1", "resourceVersion": "2", "managedFields": [{}]}
    manifest["metadata"]["generateName"] = "boil"
    manifest["status"] = {"conditions": []}
    assert Sensor.parse(manifest) == Sensor.parse(GOOD)


def test_a_generated_name_is_no_name_yet() -> None:
    manifest = changed("metadata.name", MISSING)
    manifest["metadata"]["generateName"] = "boiler-"
    with pytest.raises(SensorError) as caught:
        Sensor.parse(manifest)
    (problem,) = caught.value.problems
    assert str(problem).startswith("metadata.name: must be given (1 to 63 lower-case letters")


@pytest.mark.parametrize(
    "path",
    [
        *("new", "metadata.new", "spec.new", "spec.measurements[1].new"),
        *(f"{SIGNAL}.new", f"{SIGNAL}.constant.new"),
    ],
)
def test_what_a_newer_definition_added_is_passed_over_where_it_is_asked_for(path: str) -> None:
    assert Sensor.parse(changed(path, {"deep": [1]}), strict=False) == Sensor.parse(GOOD)


@pytest.mark.parametrize(
    ("signal", "field"),
    [
        ({"pulse": {"low": 0, "high": 1}}, f"{SIGNAL}.pulse"),
        ({"sum": [{"constant": {"value": 1}}, {"pulse": {}}]}, f"{SIGNAL}.sum[1].pulse"),
    ],
)
def test_a_signal_that_nobody_knows_is_always_refused(signal: Any, field: str) -> None:
    with pytest.raises(SensorError) as caught:
        Sensor.parse(changed(SIGNAL, signal), strict=False)
    (problem,) = caught.value.problems
    assert str(problem).startswith(f"{field}: unknown field; allowed are constant, normal")


def test_what_is_wrong_in_a_known_field_is_so_for_everybody() -> None:
    manifest = changed("spec.interval", "5x") | {"new": 1}
    with pytest.raises(
        SensorError, match=r"^spec\.interval: must be between 10ms and 1h; got .5x.$"
    ):
        Sensor.parse(manifest, strict=False)


@given(sensors)
def test_every_good_sensor_survives_its_manifest(manifest: dict[str, Any]) -> None:
    sensor = Sensor.parse(manifest)
    again = sensor.to_manifest()
    assert Sensor.parse(again) == sensor
    assert Sensor.parse(again).to_manifest() == again


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(st.sampled_from([row[0] for row in WRONG if row[1] is not MISSING]), anything)
def test_whatever_a_field_holds_it_is_taken_or_refused(path: str, value: Any) -> None:
    with suppress(SensorError):
        Sensor.parse(changed(path, value))
