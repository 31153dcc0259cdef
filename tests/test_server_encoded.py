"""Partials written as BSON directly: what `bson` itself would have written."""

from typing import Any

import bson
from bson.codec_options import CodecOptions
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_schema.names import NAME_PATTERN
from sensorpipe_schema.partial import MAX_NUMBER, MAX_TIME_MS, Checked, Origin
from sensorpipe_server.documents import document
from sensorpipe_server.encoded import encoded
from server_parts import NOW, T0

AS_WRITTEN: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)

names = st.from_regex(NAME_PATTERN, fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
numbers = st.integers(0, MAX_NUMBER) | st.sampled_from([2**31 - 1, 2**31])
floats = st.floats(allow_nan=False)
bounds = st.lists(numbers, max_size=6).map(sorted)
summaries = st.tuples(
    *(names, numbers, floats, floats, floats, floats, st.binary(max_size=40)),
    st.lists(st.tuples(texts, bounds), max_size=12),
)
partials = st.builds(
    Checked,
    names,
    st.integers(0, MAX_TIME_MS - 2),
    st.integers(1, MAX_TIME_MS - 1),
    st.builds(Origin, texts, numbers, numbers),
    st.lists(summaries, min_size=1, max_size=4, unique_by=lambda summary: summary[0]),
)


@given(partials)
def test_the_bytes_say_what_bson_would_say(checked):
    held = document(checked, NOW)
    written = bson.decode(encoded(checked, held["_id"], NOW), AS_WRITTEN)
    assert written == held
    assert list(written) == list(held)


def test_of_the_common_form_the_bytes_are_the_same():
    summary = ("temperature", 4, 20.0, 1.5, 19.0, 21.0, b"sketch", [("run", [1, 4])])
    checked = Checked("facility_1", T0, T0 + 10_000, Origin("c", 1, 1), [summary])
    held = document(checked, NOW)
    assert encoded(checked, held["_id"], NOW) == bson.encode(held)
