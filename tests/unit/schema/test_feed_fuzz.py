"""Whatever a device sends, a Feed makes readings of it or refuses it, and nothing else."""

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sensorpipe_schema.feed.decoder import FeedDecoder
from sensorpipe_schema.feed.slots import decode_any
from sensorpipe_schema.feed.values import RefusedMessageError
from sensorpipe_schema.names import is_name
from support.feeds import NOW, feed

SPECS: list[dict[str, Any]] = [
    {"readings": [{"sensor": "t", "at": "/t"}, {"sensor": "u", "at": "/a/t", "scale": 1e12}]},
    *(
        {"readings": [{"sensor": "{/b}", "at": "/t"}], "time": {"at": "/a", "format": form}}
        for form in ("auto", "s", "ms", "ns", "rfc3339")
    ),
    {
        "readings": [{"sensor": "t", "at": "/t", "values": {"x": 1e300}, "offset": 5}],
        "time": {"at": "/a"},
        "timezone": "Europe/Berlin",
        "identity": {"src": ["/b"], "seq": "/t"},
        "ignore": ["7", "x"],
    },
    {"numbers": {}, "time": {"at": "/a"}, "identity": "time"},
    {"each": "", "facility": "{/b}", "readings": [{"sensor": "t", "at": "/t"}]},
    {"each": "/a", "numbers": {"at": "/t"}},
    {"payload": "number", "readings": [{"sensor": "t", "values": {"ON": 1}}]},
    {"payload": "number", "readings": [{"sensor": "t"}]},
    {"payload": "influx", "facility": "{/measurement}", "numbers": {"at": "/fields"}},
    {
        "payload": "influx",
        "readings": [{"sensor": "t", "at": "/fields/t"}],
        "time": {"at": "/timestamp"},
    },
]
DECODERS = [FeedDecoder(feed(**spec)) for spec in SPECS]

TEXT = st.sampled_from(["7", "x", "", "nan", "é", "0001-01-01T00:00:00", "9999-12-31T23:59:59"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "t"]), inner)
    ),
    max_leaves=8,
)
LINES = st.text(st.sampled_from('at,= \\"1.e-iut\n#'), max_size=25)
PAYLOADS = (
    JSON.map(lambda value: json.dumps(value).encode())
    | st.builds(lambda a, b: f"m,t={b} t={a} {b}".encode(), st.floats(), st.integers())
    | LINES.map(str.encode)
    | st.binary(max_size=20)
)


@pytest.mark.parametrize("decoder", DECODERS, ids=[str(spec)[:60] for spec in SPECS])
@given(payload=PAYLOADS, topic=st.sampled_from(["d/x", "d/", "d/$x", "d/°", "d/a b", "x"]))
@example(payload=b'{"a": 1e308, "b": "b", "t": 1}', topic="d/x")
@example(payload=b'{"a": "0001-01-01T00:00:00+23:59", "b": "b", "t": 1}', topic="d/x")
@example(payload=b'{"a": "9999-12-31T23:59:59-23:59", "b": "b", "t": 1}', topic="d/x")
@example(payload=b'{"a": 5, "b": "b", "t": 1' + b"0" * 400 + b"}", topic="d/x")
@example(payload=b'{"a": -1' + b"0" * 400 + b', "b": "b", "t": 1}', topic="d/x")
@example(payload=b"m t=99999999999999999999i 99999999999999999999", topic="d/x")
def test_nothing_else_comes_of_it(decoder: FeedDecoder, payload: bytes, topic: str) -> None:
    try:
        found = decoder.decode(topic, payload, NOW)
    except RefusedMessageError as error:
        assert "Feed test: " in error.detail  # noqa: PT017  either outcome is right
        return
    for readings in found:
        assert is_name(readings.facility)
        assert isinstance(readings.ts, int)
        assert (readings.src is None) == (readings.seq == 0) or readings.ts <= 0
        assert readings.values
        for sensor, value in readings.values:
            assert is_name(sensor)
            assert type(value) is float
            assert math.isfinite(value)


def nested(key: str, depth: int, opening: str, closing: str) -> bytes:
    """Return a payload with a deep value."""
    others = {"a": str(NOW), "b": '"b"', "t": "1"}
    others[key] = opening * depth + "1" + closing * depth
    return f'{{"a": {others["a"]}, "b": {others["b"]}, "t": {others["t"]}}}'.encode()


@pytest.mark.parametrize("decoder", DECODERS, ids=[str(spec)[:60] for spec in SPECS])
@pytest.mark.parametrize("key", ["a", "b", "t"])
@pytest.mark.parametrize("pair", [("[", "]"), ('{"t":', "}")], ids=["arrays", "objects"])
def test_nor_does_any_depth_of_nesting_end_the_program(
    decoder: FeedDecoder, key: str, pair: tuple[str, str]
) -> None:
    """What can just be decoded may be too deep for what is done with it then."""
    low, deepest = 0, 60_000
    while low + 1 < deepest:
        middle = (low + deepest) // 2
        try:
            decode_any(nested(key, middle, *pair))
            low = middle
        except RecursionError:
            deepest = middle
    for depth in [*range(deepest - 20, deepest + 2), 2 * deepest // 3]:
        try:
            decoder.decode("d/x", nested(key, depth, *pair), NOW)
        except RefusedMessageError as error:
            assert "Feed test: " in error.detail  # noqa: PT017  either outcome is right
