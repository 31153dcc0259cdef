"""What a Feed makes of messages: values, names, identities, and what is refused."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_schema.feed.decoder import MAX_ITEMS, MAX_PAYLOAD, FeedDecoder, Readings
from sensorpipe_schema.feed.names import MAX_SENSORS
from sensorpipe_schema.feed.values import RefusedMessageError
from support.feeds import NOW, decoded, feed, values

T = [{"sensor": "t", "at": "/t"}]
DRAGINO = '{"fCnt":2064,"object":{"BatV":3.04,"Hum_SHT":"34.5","TempC_SHT":"17.67"}}'
"""https://docs.openremote.io/docs/tutorials/chirpstack-lorawan-integration/"""


def refused(message: str, where: str = "d/x", **spec: Any) -> tuple[str, str]:
    """Return reason and detail of a message that is refused."""
    with pytest.raises(RefusedMessageError) as caught:
        decoded(message, where, **{"readings": T, **spec})
    return caught.value.reason, caught.value.detail


def test_a_message_gives_all_its_readings_with_one_time_and_facility() -> None:
    rules = [{"sensor": "t", "at": "/t"}, {"sensor": "h", "at": "/in/h"}]
    (found,) = decoded('{"t": 20.5, "in": {"h": 40}, "time": 1700000000}', "d/Hall 2",
                       readings=rules, time={"at": "/time"})  # fmt: skip
    assert found == Readings("hall_2", 1_700_000_000_000, None, 0, [("t", 20.5), ("h", 40.0)])


@pytest.mark.parametrize("payload", ['{"other": 1}', '{"t": null}', "{}", "[1]", "7", "null", ""])
def test_a_message_without_the_named_values_is_empty_and_no_error(payload: str) -> None:
    assert decoded(payload, readings=T) == []


@pytest.mark.parametrize(
    ("value", "number"),
    [("1", 1), ("-2.5e3", -2500), ('"20.1"', 20.1), ("true", 1), ("false", 0), ('"3"', 3)],
)
def test_numbers_in_text_and_booleans_are_numbers(value: str, number: float) -> None:
    assert values(f'{{"t": {value}}}', readings=T) == {"t": number}


def test_dragino_sends_numbers_as_text() -> None:
    rules = [{"sensor": "temperature", "at": "/object/TempC_SHT"},
             {"sensor": "battery", "at": "/object/BatV"}]  # fmt: skip
    assert values(DRAGINO, readings=rules) == {"temperature": 17.67, "battery": 3.04}


@pytest.mark.parametrize(
    "value", ['"warm"', '""', "{}", "[1]", '"nan"', '"inf"', '"-Infinity"', '"1e999"']
)
def test_a_named_value_that_is_no_number_is_refused_with_path_and_feed(value: str) -> None:
    reason, detail = refused(f'{{"t": {value}, "u": 1}}')
    assert reason == "not_a_number"
    assert detail.startswith("Feed test: /t: ")


def test_one_bad_value_refuses_the_message_whole() -> None:
    rules = [*T, {"sensor": "u", "at": "/u"}]
    assert refused('{"t": 1, "u": "x"}', readings=rules) == (
        "not_a_number",
        "Feed test: /u: 'x'",
    )


def test_ignored_values_are_silently_no_reading() -> None:
    rules = [*T, {"sensor": "u", "at": "/u"}]
    spec: dict[str, Any] = {"readings": rules, "ignore": ["unavailable", "-127"]}
    assert values('{"t": "unavailable", "u": 2}', **spec) == {"u": 2}
    assert values('{"t": -127.0, "u": "-127"}', **spec) == {}


def test_values_stand_for_numbers() -> None:
    rules = [{"sensor": "open", "at": "/contact", "values": {"true": 0, "false": 1}},
             {"sensor": "mode", "at": "/mode", "values": {"OFF": 0, "ON": 1, "2": 7}}]  # fmt: skip
    assert values('{"contact": true, "mode": "ON"}', readings=rules) == {"open": 0, "mode": 1}
    assert values('{"contact": false, "mode": 2}', readings=rules) == {"open": 1, "mode": 7}
    assert values('{"mode": 5}', readings=rules) == {"mode": 5}
    assert refused('{"mode": "AUTO"}', readings=rules)[0] == "not_a_number"


def test_scale_and_offset() -> None:
    rules = [{"sensor": "kw", "at": "/w", "scale": 0.001},
             {"sensor": "c", "at": "/f", "scale": 0.5, "offset": -16}]  # fmt: skip
    assert values('{"w": 1500, "f": 68}', readings=rules) == {"kw": 1.5, "c": 18.0}


def test_keys_may_contain_anything() -> None:
    rules = [{"sensor": "p", "at": "/params/switch:0/apower"},
             {"sensor": "q", "at": '/a~1b/"c"'}]  # fmt: skip
    payload = {"params": {"switch:0": {"apower": 3}}, "a/b": {'"c"': 4}}
    assert values(json.dumps(payload), readings=rules) == {"p": 3, "q": 4}


def test_paths_lead_through_arrays() -> None:
    assert values('{"d": [{"t": 1}, {"t": 2}]}', readings=[{"sensor": "t", "at": "/d/1/t"}]) == {
        "t": 2
    }
    assert values('{"d": []}', readings=[{"sensor": "t", "at": "/d/1/t"}]) == {}


def test_each_item_of_an_array_has_its_own_names_and_time() -> None:
    spec: dict[str, Any] = {
        "each": "/data",
        "time": {"at": "/at", "format": "s"},
        "readings": [{"sensor": "{/name}", "at": "/v"}],
    }
    payload = '{"data": [{"name": "A b", "v": 1, "at": 5}, {"name": "c", "v": "2", "at": 6}, {}]}'
    assert decoded(payload, **spec) == [
        Readings("x", 5000, None, 0, [("a_b", 1.0)]),
        Readings("x", 6000, None, 0, [("c", 2.0)]),
    ]
    assert decoded("{}", **spec) == []
    assert refused('{"data": {}}', **spec) == ("not_an_array", "Feed test: /data is not an array")
    assert refused('{"data": [{"v": 1, "at": 5}]}', **spec) == (
        "bad_sensor_name",
        "Feed test: /name is missing or no name",
    )


def test_too_many_items_are_refused() -> None:
    many = json.dumps([{"t": 1}] * (MAX_ITEMS + 1))
    assert refused(many, each="", readings=T)[0] == "too_many_items"


def test_numbers_take_every_number_and_boolean_by_its_path() -> None:
    payload = (
        '{"AM2301": {"Temperature": 24.6, "ok": true}, "n": [1, "2", null], "s": "3", '
        '"time": 5, "linkquality": 9}'
    )
    spec: dict[str, Any] = {
        "numbers": {"except": ["linkquality"]},
        "time": {"at": "/time", "format": "s"},
    }
    (found,) = decoded(payload, **spec)
    assert found.ts == 5000
    assert dict(found.values) == {"am2301_temperature": 24.6, "am2301_ok": 1, "n_0": 1}


def test_numbers_give_no_more_sensors_than_their_limits() -> None:
    many = json.dumps({f"k{i}": i for i in range(65)})
    assert refused(many, numbers={}, readings=None)[0] == "too_many_sensors"
    decoder = FeedDecoder(feed(numbers={}))
    for i in range(MAX_SENSORS):
        decoder.decode("d/x", b'{"k%d": 1}' % i, NOW)
    with pytest.raises(RefusedMessageError, match="too_many_sensors"):
        decoder.decode("d/x", b'{"one_more": 1}', NOW)
    assert decoder.decode("d/x", b'{"k7": 1}', NOW)[0].values == [("k7", 1.0)]


def test_long_names_are_not_kept_as_they_were() -> None:
    decoder = FeedDecoder(feed(numbers={}))
    tracemalloc.start()
    for number in range(MAX_SENSORS):
        name = f"s{number}" + "\N{THERMOMETER}" * 15_000
        (found,) = decoder.decode("d/x", f'{{"{name}": 1}}'.encode(), NOW)
        assert found.values == [(f"s{number}", 1.0)]
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1_000_000  # bytes; a name as it was takes 60,000


def test_numbers_do_not_give_one_sensor_two_values() -> None:
    assert refused('{"a_b": 1, "a": {"b": 2}}', numbers={}, readings=None)[0] == "bad_sensor_name"


def test_a_name_of_which_nothing_is_left_is_refused() -> None:
    assert refused('{"t": 1}', "d/°")[0] == "bad_facility_name"
    assert refused('{"t": 1, "n": "°"}', readings=[{"sensor": "{/n}", "at": "/t"}])[0] == (
        "bad_sensor_name"
    )


def test_a_payload_that_is_not_json_or_too_large_is_refused() -> None:
    assert refused("{")[0] == "not_json"
    assert refused("[" * 3000)[0] == "not_json"
    assert refused('{"t": 1' + " " * MAX_PAYLOAD + "}")[0] == "too_large"


def test_identity_by_counter_begins_at_one_and_needs_all_its_parts() -> None:
    spec: dict[str, Any] = {
        "readings": T,
        "time": {"at": "/t"},
        "identity": {"src": ["/eui", "/addr"], "seq": "/f"},
    }
    (found,) = decoded('{"t": 1, "eui": "0a", "addr": 7, "f": 0}', **spec)
    assert (found.src, found.seq) == ("0a/7", 1)
    (found,) = decoded('{"t": 1, "eui": "0a", "addr": 7, "f": "12"}', **spec)
    assert (found.src, found.seq) == ("0a/7", 13)
    for part in ('"eui": "0a", "addr": 7', '"eui": "", "addr": 7, "f": 1', '"f": 1'):
        (found,) = decoded('{"t": 1, %s}' % part, **spec)  # noqa: UP031  braces of JSON
        assert (found.src, found.seq) == (None, 0), "what is left out is told apart by nothing"
    assert refused('{"t": 1, "eui": "0a", "addr": 7, "f": -1}', **spec)[0] == "bad_identity"
    assert refused('{"t": 1, "eui": {}, "addr": 7, "f": 1}', **spec)[0] == "bad_identity"
    (found,) = decoded(json.dumps({"t": 1, "eui": "e" * 200, "addr": 1, "f": 1}), **spec)
    assert found.src is not None
    assert len(found.src) <= 128


AT = {"time": {"at": "/at"}, "each": ""}
COUNTED = {**AT, "identity": {"src": ["/d"], "seq": "/n"}}


@pytest.mark.parametrize("spec", [{**AT, "identity": "time"}, COUNTED])
def test_two_values_of_one_identity_in_a_message_are_refused_not_lost(spec: Any) -> None:
    item = '{"at": 1800000000, "d": "a", "n": 4, "s": "%s", "t": %s}'
    named = {"readings": [{"sensor": "{/s}", "at": "/t"}], **spec}
    for others in ("x", 20), ("X", 21), ("y", 20):
        items = f"[{item % ('x', 20)}, {item % others}]"
        if others == ("X", 21):
            assert refused(items, **named) == (
                "bad_identity",
                "Feed test: two values of x have the same identity; give each its own name",
            )
        else:
            assert len(decoded(items, **named)) == 2
    assert len(decoded(items, **{**named, "identity": "none"})) == 2


def test_nor_are_those_of_sensors_that_an_object_names_alike() -> None:
    rules = [{"sensor": "{/a}", "at": "/t"}, {"sensor": "{/b}", "at": "/u"}]
    spec: dict[str, Any] = {"readings": rules, "time": {"at": "/at"}, "identity": "time"}
    message = '{"at": 1800000000, "a": "x", "b": "%s", "t": 1, "u": 2}'
    assert refused(message % "x", **spec)[0] == "bad_identity"
    assert values(message % "y", **spec) == {"x": 1.0, "y": 2.0}


def test_identity_by_time_is_the_topic_and_the_time() -> None:
    (found,) = decoded('{"t": 1, "at": 1700000000.25}', readings=T, time={"at": "/at"},
                       identity="time")  # fmt: skip
    assert (found.src, found.seq) == ("d/x", 1_700_000_000_250)


def test_a_bare_number() -> None:
    spec: dict[str, Any] = {
        "topic": "h/{device}/{sensor}",
        "payload": "number",
        "readings": [{"sensor": "{sensor}", "values": {"ON": 1}}],
        "ignore": ["unavailable"],
    }
    assert decoded("21.5", "h/Hall/Temp", **spec) == [
        Readings("hall", NOW, None, 0, [("temp", 21.5)])
    ]
    assert values(" 21.5\n", "h/x/t", **spec) == {"t": 21.5}
    assert values("ON", "h/x/t", **spec) == {"t": 1}
    assert decoded("unavailable", "h/x/t", **spec) == []
    assert refused("1_000", "h/x/t", **spec)[0] == "not_a_number"
    plain = {**spec, "readings": [{"sensor": "{sensor}"}]}
    assert values("7", "h/x/t", **plain) == {"t": 7}
    for payload in ("nan", "inf", "1_0", "OFF", "{}"):
        assert refused(payload, "h/x/t", **plain)[0] == "not_a_number"
    assert decoded("7", "other/x", **plain) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["7", "x", "nan"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abt:"), inner),
    max_leaves=6,
)
FAST: dict[str, Any] = {
    "readings": [{"sensor": "t", "at": "/t"}, {"sensor": "u", "at": "/a/b"},
                 {"sensor": "v", "at": "/a/:", "scale": 2, "values": {"x": 9}}],
    "time": {"at": "/b"}, "ignore": ["x"],
}  # fmt: skip
SLOW = {**FAST, "readings": [*FAST["readings"], {"sensor": "w", "at": "/none/0"}]}
"""With a path that only the slow way can follow."""


def outcome(payload: str, spec: dict[str, Any]) -> object:
    """Return what comes of a message: readings, or the reason."""
    try:
        return decoded(payload, **spec)
    except RefusedMessageError as error:
        return error.reason


@given(JSON)
def test_the_fast_way_and_the_slow_way_find_the_same(value: Any) -> None:
    payload = json.dumps(value)
    assert outcome(payload, FAST) == outcome(payload, SLOW)


NUMBERS: dict[str, Any] = {
    "numbers": {"at": "/a", "except": ["t"]},
    "time": {"at": "/b"},
    "identity": {"src": ["/t"], "seq": "/b"},
}


@given(JSON, JSON)
def test_numbers_are_the_same_either_way_and_again(below: Any, at: Any) -> None:
    payload = json.dumps({"a": below, "b": at, "t": "x"}).encode()
    fast, slow = FeedDecoder(feed(**NUMBERS)), FeedDecoder(feed(**NUMBERS))
    assert fast._fast is not None
    slow._fast = None
    outcomes: list[object] = []
    for decoder in (fast, slow, fast):
        try:
            outcomes.append(decoder.decode("d/x", payload, NOW))
        except RefusedMessageError as error:
            outcomes.append(error.reason)
    assert outcomes[0] == outcomes[1] == outcomes[2]
