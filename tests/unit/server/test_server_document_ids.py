"""An `_id` that is none of ours lies in one bucket, whatever range it is looked for in."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sensorpipe_server.storage.documents import id_range, read_id, start_among

ENDS = st.text("0123456789/:-x~é", max_size=20)


@given(ENDS, st.integers(0, 253_402_300_799_999))
@example("", 0)
@example("x", 0)
def test_every_id_lies_in_the_range_of_the_start_that_it_is_among(end: str, start: int) -> None:
    for text in (f"f/{end}", f"f/{start:015d}{end}", f"f/{start:015d}"[: 2 + len(end)] + end):
        found = start_among(text)
        if not found:
            assert text < id_range("f", 1)["$gte"]
        elif found < 253_402_300_799_999:
            bounds = id_range("f", found, found + 1)
            assert bounds["$gte"] <= text < bounds["$lt"]
        else:
            assert text >= id_range("f", 253_402_300_799_999)["$gte"]


@pytest.mark.parametrize(
    "text",
    [
        "f/17/10000/0000000000000009/1",
        "f/999999999999999/10000/0000000000000009/1",
        "f/99999999999999999999/10000/0000000000000009/1",
        "f/001700000000000/010000/0000000000000009/1",
        "f/001700000000000/0/folded",
        "f/001700000000000/10000/9/1",
        "f/001700000000000/10000/000000000000000A/1",
        "f/001700000000000/10000/0000000000000000/1",
        "f/001700000000000/10000/0000000000000009/01",
        "f/001700000000000/10000/folded/1",
        "/001700000000000/10000/folded",
    ],
)
def test_what_is_written_in_another_way_is_none_of_ours(text: str) -> None:
    with pytest.raises(ValueError, match=r"not that of a partial|no partial has"):
        read_id(text)
