import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sensorpipe_schema.reading import (
    MAX_AGE_MS,
    MAX_AHEAD_MS,
    MAX_PAYLOAD,
    MAX_SEQ,
    MAX_SRC,
    BadReadingError,
    Reading,
    decode,
    encode,
)

NOW = 1_800_000_000_000


def with_val(val: str) -> str:
    return f'{{"ts": {NOW}, "val": {val}}}'


def with_ts(ts: str) -> str:
    return f'{{"ts": {ts}, "val": 1}}'


def with_source(src: str, seq: str = "1") -> str:
    return f'{{"ts": {NOW}, "val": 1, "src": {src}, "seq": {seq}}}'


MALFORMED = [
    # not JSON
    ("", "not_json"),
    (" ", "not_json"),
    ("\0", "not_json"),
    ("{", "not_json"),
    ("}", "not_json"),
    ("21.5 C", "not_json"),
    ("ts=1800000000000 val=21", "not_json"),
    ("<reading/>", "not_json"),
    ("{'ts': 1, 'val': 2}", "not_json"),
    ("{ts: 1, val: 2}", "not_json"),
    (with_val("1") + "x", "not_json"),
    (with_val("1") + with_val("1"), "not_json"),
    (with_val("1") + "\0", "not_json"),
    (with_val("1").replace("}", ",}"), "not_json"),
    (with_val("1")[:-1], "not_json"),
    ("/* reading */" + with_val("1"), "not_json"),
    ("\ufeff" + with_val("1"), "not_json"),
    (with_val(""), "not_json"),
    (with_val("NaN"), "not_json"),
    (with_val("nan"), "not_json"),
    (with_val("Infinity"), "not_json"),
    (with_val("-Infinity"), "not_json"),
    (with_val("01"), "not_json"),
    (with_val(".5"), "not_json"),
    (with_val("5."), "not_json"),
    (with_val("+5"), "not_json"),
    (with_val("0x5"), "not_json"),
    (with_val("1,5"), "not_json"),
    (with_val("1e"), "not_json"),
    (with_source(r'"\ud800"'), "not_json"),
    (with_source(r'"\udc00a"'), "not_json"),
    (with_source('"a\nb"'), "not_json"),
    ("[" * 8000, "not_json"),
    # JSON, but no object
    ("null", "not_an_object"),
    ("true", "not_an_object"),
    ("21.5", "not_an_object"),
    ('"21.5"', "not_an_object"),
    ("[]", "not_an_object"),
    (f"[{with_val('1')}]", "not_an_object"),
    ("[1e999]", "not_an_object"),
    # ts
    ("{}", "no_ts"),
    ('{"val": 1}', "no_ts"),
    ('{"TS": 1800000000000, "val": 1}', "no_ts"),
    (with_ts("null"), "bad_ts"),
    (with_ts("true"), "bad_ts"),
    (with_ts(f'"{NOW}"'), "bad_ts"),
    (with_ts('"2027-01-15T08:00:00Z"'), "bad_ts"),
    (with_ts(f"{NOW}.0"), "bad_ts"),
    (with_ts("1.8e12"), "bad_ts"),
    (with_ts("1e999"), "bad_ts"),
    (with_ts("[]"), "bad_ts"),
    (with_ts("9" * 5000), "bad_ts"),
    (f'{{"ts": "x", "val": 1, "ts": {NOW}}}', "bad_ts"),
    (with_ts(str(NOW // 1000)), "too_old"),
    (with_ts(str(NOW - MAX_AGE_MS - 1)), "too_old"),
    (with_ts("0"), "too_old"),
    (with_ts("-1"), "too_old"),
    (with_ts("-" + "9" * 4000), "too_old"),
    (with_ts(str(NOW * 1000)), "ahead_of_time"),
    (with_ts(str(NOW + MAX_AHEAD_MS + 1)), "ahead_of_time"),
    (with_ts("9" * 400), "ahead_of_time"),
    # val
    (f'{{"ts": {NOW}}}', "no_val"),
    (f'{{"ts": {NOW}, "value": 1}}', "no_val"),
    (with_val("null"), "bad_val"),
    (with_val("true"), "bad_val"),
    (with_val('"21.5"'), "bad_val"),
    (with_val('""'), "bad_val"),
    (with_val("[1]"), "bad_val"),
    (with_val('{"celsius": 21.5}'), "bad_val"),
    (f'{{"ts": {NOW}, "val": "1", "extra": 1e999}}', "bad_val"),
    (with_val("1e309"), "val_not_finite"),
    (with_val("-1e400"), "val_not_finite"),
    (with_val("9" * 400), "val_not_finite"),
    (with_val("9" * 5000), "val_not_finite"),
    # src and seq
    (with_source('""'), "bad_src"),
    (with_source("5"), "bad_src"),
    (with_source("true"), "bad_src"),
    (with_source('["a"]'), "bad_src"),
    (with_source('"' + "a" * (MAX_SRC + 1) + '"'), "bad_src"),
    (with_source('"a"', "-1"), "bad_seq"),
    (with_source('"a"', "1.5"), "bad_seq"),
    (with_source('"a"', "1.0"), "bad_seq"),
    (with_source('"a"', "null"), "bad_seq"),
    (with_source('"a"', '"1"'), "bad_seq"),
    (with_source('"a"', "true"), "bad_seq"),
    (with_source('"a"', str(MAX_SEQ + 1)), "bad_seq"),
    (with_source('"a"', "9" * 30), "bad_seq"),
    (with_source('"a"', "9" * 5000), "bad_seq"),
    # size
    (with_val("1") + " " * MAX_PAYLOAD, "too_large"),
    (f'{{"ts": {NOW}, "val": 1, "note": "{"a" * MAX_PAYLOAD}"}}', "too_large"),
]


def shown(value: object) -> str | None:
    return value[:40] if isinstance(value, str) else None


@pytest.mark.parametrize(("payload", "reason"), MALFORMED, ids=shown)
def test_a_malformed_payload_says_why(payload, reason):
    with pytest.raises(BadReadingError) as caught:
        decode(payload.encode(), NOW)
    assert caught.value.reason == reason
    assert str(caught.value).startswith(f"{reason}: ")


@pytest.mark.parametrize("nested", ["[" * 4000 + "]" * 4000, '{"a":' * 1300 + "1" + "}" * 1300])
def test_deep_json_is_refused_whatever_the_interpreter_can_stand(nested):
    for payload in (nested, with_val(nested)):
        with pytest.raises(BadReadingError):
            decode(payload.encode(), NOW)


@pytest.mark.parametrize(
    "payload", [b"\xff", with_source('"@"').encode().replace(b"@", b"\xff"), b"\xed\xa0\x80"]
)
def test_bytes_that_are_no_utf8_are_not_json(payload):
    with pytest.raises(BadReadingError, match="not_json"):
        decode(payload, NOW)


@pytest.mark.parametrize(
    ("payload", "reading"),
    [
        (with_val("21.5"), Reading(NOW, 21.5)),
        (with_val("-0"), Reading(NOW, 0.0)),
        (with_val("5e-400"), Reading(NOW, 0.0)),
        (with_val("9" * 30), Reading(NOW, 1e30)),
        (f' {{"val":1,\n"ts":{NOW}}} ', Reading(NOW, 1.0)),
        (f'{{"ts": {NOW}, "val": 1, "unit": "C", "more": [1, {{}}]}}', Reading(NOW, 1.0)),
        (f'{{"ts": 5, "val": 1, "ts": {NOW}}}', Reading(NOW, 1.0)),
        (with_source("null", "0"), Reading(NOW, 1.0)),
        (with_source('"pump ☃"', str(MAX_SEQ)), Reading(NOW, 1.0, "pump ☃", MAX_SEQ)),
        (with_ts(str(NOW - MAX_AGE_MS)), Reading(NOW - MAX_AGE_MS, 1.0)),
        (with_ts(str(NOW + MAX_AHEAD_MS)), Reading(NOW + MAX_AHEAD_MS, 1.0)),
        (with_val("1").ljust(MAX_PAYLOAD), Reading(NOW, 1.0)),
    ],
    ids=shown,
)
def test_a_foreign_publishers_reading_is_taken(payload, reading):
    assert decode(payload.encode(), NOW) == reading


readings = st.builds(
    Reading,
    ts=st.integers(NOW - MAX_AGE_MS, NOW + MAX_AHEAD_MS),
    val=st.floats(allow_nan=False, allow_infinity=False),
    src=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=MAX_SRC),
    seq=st.integers(1, MAX_SEQ),
)


@given(readings)
def test_a_reading_comes_back_exactly(reading):
    assert decode(encode(reading), NOW) == reading


@given(readings)
def test_a_reading_without_source_comes_back_exactly(reading):
    bare = Reading(reading.ts, reading.val)
    assert decode(encode(bare), NOW) == bare
    assert json.loads(encode(bare)) == {"ts": bare.ts, "val": bare.val}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(), inside, max_size=3),
)
near_readings = st.dictionaries(st.sampled_from(["ts", "val", "src", "seq", "x"]), json_values)


@given(st.binary() | near_readings.map(lambda content: json.dumps(content).encode()))
@example(b'{"ts":' * 3000)
def test_nothing_but_bad_reading_error_is_ever_raised(payload):
    try:
        reading = decode(payload, NOW)
    except BadReadingError as error:
        assert error.reason  # noqa: PT017  either outcome is right
    else:
        assert encode(reading)
