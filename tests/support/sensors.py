"""Sensors that are right, and what is wrong with others."""

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st
from sensorpipe_runtime.duration import format_ms
from sensorpipe_schema.sensor import API_VERSION

GOOD: dict[str, Any] = {
    "apiVersion": API_VERSION,
    "kind": "Sensor",
    "metadata": {"name": "boiler"},
    "spec": {
        "facility": "boiler_1",
        "interval": "5s",
        "measurements": [
            {"name": "temperature", "unit": "°C", "signal": {"constant": {"value": 20}}},
            {"name": "pressure", "signal": {"normal": {"mean": 1013, "stdev": 10}}},
        ],
    },
}


SIGNAL = "spec.measurements[0].signal"


MISSING = object()


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the good Sensor with one field set, or taken away."""
    manifest = deepcopy(GOOD)
    *parents, last = path.replace("[", ".[").split(".")
    holder: Any = manifest
    for part in parents:
        holder = holder[int(part[1:-1]) if part.startswith("[") else part]
    key = int(last[1:-1]) if last.startswith("[") else last
    if value is MISSING:
        del holder[key]
    else:
        holder[key] = value
    return manifest


NAME = "1 to 63 lower-case letters"


NUMBER = "must be a number from"


ONE = "must be exactly one of constant, normal, sine, linear, randomWalk, sum"


WRONG: list[tuple[str, Any, str, str]] = [
    ("metadata", MISSING, "metadata", "must be given"),
    ("metadata", [], "metadata", "must be a mapping of name, namespace"),
    ("metadata.name", MISSING, "metadata.name", "must be given"),
    ("metadata.name", 7, "metadata.name", "must be text, in quotes if"),
    ("metadata.name", "Boiler", "metadata.name", f"{NAME}, digits or '-'"),
    ("metadata.name", "a" * 64, "metadata.name", "(64 characters)"),
    ("metadata.name", "boiler_1", "metadata.name", "got 'boiler_1'"),
    ("metadata.namespace", "-", "metadata.namespace", NAME),
    ("metadata.label", {}, "metadata.label", "did you mean labels?"),
    ("metadata.labels", {"a": 1}, "metadata.labels.a", "must be text"),
    ("metadata.annotations", "a", "metadata.annotations", "must be a mapping of text to text"),
    ("spec", MISSING, "spec", "must be given"),
    ("spec", None, "spec", "must be given"),
    ("specs", {}, "specs", "did you mean spec?"),
    ("spec.facility", MISSING, "spec.facility", NAME),
    ("spec.facility", "Boiler", "spec.facility", "got 'Boiler'"),
    ("spec.facility", "boiler/1", "spec.facility", NAME),
    ("spec.facility", "boiler\n", "spec.facility", NAME),
    ("spec.facility", "kessel_ü", "spec.facility", NAME),
    ("spec.count", 0, "spec.count", "must be a whole number from 1 to 100000; got 0"),
    ("spec.count", 100_001, "spec.count", "must be a whole number from 1 to 100000"),
    ("spec.count", 1.5, "spec.count", "got 1.5"),
    ("spec.count", True, "spec.count", "got true"),
    ("spec.count", "3", "spec.count", "got '3'"),
    ("spec.interval", MISSING, "spec.interval", "must be given (between 10ms and 1h)"),
    ("spec.interval", "5x", "spec.interval", "must be between 10ms and 1h; got '5x'"),
    ("spec.interval", 5, "spec.interval", "must be between 10ms and 1h; got 5"),
    ("spec.interval", "9ms", "spec.interval", "got '9ms'"),
    ("spec.interval", "61m", "spec.interval", "got '61m'"),
    ("spec.interval", "10.5ms", "spec.interval", "got '10.5ms'"),
    ("spec.interval", "9" * 5000 + "s", "spec.interval", "(5001 characters)"),
    ("spec.intervall", "5s", "spec.intervall", "unknown field; did you mean interval?"),
    ("spec.colour", "red", "spec.colour", "unknown field; allowed are facility, count"),
    ("spec.seed", -1, "spec.seed", "must be a whole number from 0 to"),
    ("spec.replicas", 101, "spec.replicas", "must be a whole number from 0 to 100"),
    ("spec.suspend", "yes", "spec.suspend", "must be true or false; got 'yes'"),
    ("spec.resources", [], "spec.resources", "must be a mapping of limits, requests"),
    ("spec.resources", {"limit": {}}, "spec.resources.limit", "did you mean limits?"),
    ("spec.resources", {"limits": {"gpu": 1}}, "spec.resources.limits.gpu", "unknown field"),
    ("spec.resources", {"limits": {"cpu": "lots"}}, "spec.resources.limits.cpu", "500m, 2, 128Mi"),
    ("spec.resources", {"limits": {"cpu": -1}}, "spec.resources.limits.cpu", "got -1"),
    (
        "spec.resources",
        {"limits": {"memory": "1Gi"}, "requests": {"memory": "1.1e9"}},
        "spec.resources.requests.memory",
        "a quantity such as",
    ),
    (
        "spec.resources",
        {"limits": {"memory": "1G"}, "requests": {"memory": "1Gi"}},
        "spec.resources.requests.memory",
        "must not exceed the limit 1G; got 1Gi",
    ),
    ("spec.measurements", MISSING, "spec.measurements", "must be given (a list of 1 to 32)"),
    ("spec.measurements", [], "spec.measurements", "must be a list of 1 to 32; got a list of 0"),
    ("spec.measurements", {"temperature": {}}, "spec.measurements", "got a mapping of 1"),
    ("spec.measurements[1]", "x", "spec.measurements[1]", "must be a mapping of name, unit, sig"),
    ("spec.measurements[1].name", "temperature", "spec.measurements[1].name", "must be unique"),
    ("spec.measurements[1].name", "a b", "spec.measurements[1].name", NAME),
    ("spec.measurements[0].unit", "", "spec.measurements[0].unit", "1 to 32 printable"),
    ("spec.measurements[0].unit", "a\nb", "spec.measurements[0].unit", "1 to 32 printable"),
    ("spec.measurements[0].signal", MISSING, SIGNAL, "must be given (exactly one of constant"),
    (SIGNAL, {}, SIGNAL, f"{ONE}; got none of them"),
    (SIGNAL, "noise", SIGNAL, f"{ONE}; got 'noise'"),
    (
        SIGNAL,
        {"constant": {"value": 1}, "normal": {"mean": 1, "stdev": 1}},
        SIGNAL,
        "got constant and normal",
    ),
    (SIGNAL, {"noraml": {}}, f"{SIGNAL}.noraml", "did you mean normal?"),
    (SIGNAL, {"constant": {}}, f"{SIGNAL}.constant.value", "must be given (a number from -1e+12"),
    (SIGNAL, {"constant": {"value": "1"}}, f"{SIGNAL}.constant.value", f"{NUMBER} -1e+12"),
    (SIGNAL, {"constant": {"value": False}}, f"{SIGNAL}.constant.value", "got false"),
    (SIGNAL, {"constant": {"value": float("nan")}}, f"{SIGNAL}.constant.value", "got nan"),
    (SIGNAL, {"constant": {"value": float("inf")}}, f"{SIGNAL}.constant.value", "got inf"),
    (SIGNAL, {"constant": {"value": 10**13}}, f"{SIGNAL}.constant.value", "to 1e+12"),
    (SIGNAL, {"normal": {"mean": 1, "stdev": -1}}, f"{SIGNAL}.normal.stdev", f"{NUMBER} 0"),
    (SIGNAL, {"normal": {"mean": 1, "sigma": 1, "stdev": 1}}, f"{SIGNAL}.normal.sigma", "unknown"),
    (SIGNAL, {"sine": {"amplitude": 1}}, f"{SIGNAL}.sine.period", "must be given"),
    (SIGNAL, {"sine": {"amplitude": 1, "period": "0s"}}, f"{SIGNAL}.sine.period", "10ms and 366d"),
    (
        SIGNAL,
        {"sine": {"amplitude": 1, "period": "1h", "phase": 2}},
        f"{SIGNAL}.sine.phase",
        "must be a number from 0 to 1; got 2",
    ),
    (SIGNAL, {"linear": {"start": 1, "perhour": 2}}, f"{SIGNAL}.linear.perhour", "mean perHour?"),
    (SIGNAL, {"randomWalk": {"start": 1, "step": -1}}, f"{SIGNAL}.randomWalk.step", NUMBER),
    (SIGNAL, {"sum": []}, f"{SIGNAL}.sum", "must be a list of 1 to 16"),
    (SIGNAL, {"sum": [{"constant": {"value": 1}}] * 17}, f"{SIGNAL}.sum", "got a list of 17"),
    (SIGNAL, {"sum": [{"sum": []}]}, f"{SIGNAL}.sum[0].sum", "unknown field; allowed are const"),
    (SIGNAL, {"sum": [{"constant": {}}]}, f"{SIGNAL}.sum[0].constant.value", "must be given"),
]


names = st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,10}[a-z0-9])?", fullmatch=True)


labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)


numbers = st.one_of(st.integers(-(10**12), 10**12), st.floats(-1e12, 1e12))


spreads = st.floats(0, 1e12)


simple = st.one_of(
    st.fixed_dictionaries({"constant": st.fixed_dictionaries({"value": numbers})}),
    st.fixed_dictionaries(
        {"normal": st.fixed_dictionaries({"mean": numbers, "stdev": spreads})},
    ),
    st.fixed_dictionaries(
        {
            "sine": st.fixed_dictionaries(
                {"amplitude": numbers, "period": st.integers(10, 31_622_400_000).map(format_ms)},
                optional={"mean": numbers, "phase": st.floats(0, 1)},
            )
        }
    ),
    st.fixed_dictionaries(
        {"linear": st.fixed_dictionaries({"start": numbers, "perHour": numbers})}
    ),
    st.fixed_dictionaries(
        {"randomWalk": st.fixed_dictionaries({"start": numbers, "step": spreads})}
    ),
)


signals = simple | st.fixed_dictionaries({"sum": st.lists(simple, min_size=1, max_size=4)})


measurements = st.lists(
    st.fixed_dictionaries(
        {"name": names, "signal": signals},
        optional={"unit": st.sampled_from(["°C", "%", "hPa", "m/s²"])},
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda measurement: str(measurement["name"]),
)


sensors = st.fixed_dictionaries(
    {
        "apiVersion": st.just(API_VERSION),
        "kind": st.just("Sensor"),
        "metadata": st.fixed_dictionaries(
            {"name": labels},
            optional={"namespace": labels, "labels": st.dictionaries(labels, st.text())},
        ),
        "spec": st.fixed_dictionaries(
            {
                "facility": names,
                "interval": st.integers(10, 3_600_000).map(format_ms),
                "measurements": measurements,
            },
            optional={
                "count": st.integers(1, 100_000),
                "seed": st.integers(0, 2**53 - 1),
                "replicas": st.integers(0, 100),
                "suspend": st.booleans(),
                "resources": st.just(
                    {"limits": {"cpu": 2, "memory": "1Gi"}, "requests": {"cpu": "100m"}}
                ),
            },
        ),
    }
)
