"""The condition for the documents of some windows: few ranges, and no document is missed."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_server.storage.documents import WindowKey
from sensorpipe_server.storage.queries import of_windows

KEYS = st.builds(
    lambda facility, number, length_ms: WindowKey(facility, number * length_ms, length_ms),
    st.sampled_from(["hall_1", "hall_10"]),
    st.integers(0, 9),
    st.sampled_from([10_000, 20_000]),
)


def ranges(condition: dict[str, Any]) -> list[dict[str, str]]:
    return [each["_id"] for each in condition.get("$or", [condition])]


def is_chosen(condition: dict[str, Any], text: str) -> bool:
    return any(each["$gt"] < text < each["$lt"] for each in ranges(condition))


@given(st.lists(KEYS, min_size=1, max_size=12, unique=True), KEYS)
def test_all_documents_of_the_windows_are_chosen_and_none_beside_them(
    keys: list[WindowKey], other: WindowKey
):
    condition = of_windows(keys)
    for key in keys:
        assert is_chosen(condition, f"{key}/folded")
        assert is_chosen(condition, f"{key}/{1:016x}/1")
    chosen = is_chosen(condition, f"{other}/{1:016x}/1")
    of_another_length = any(
        other.facility == key.facility
        and other.length_ms != key.length_ms
        and key.start_ms <= other.start_ms <= key.end_ms
        for key in keys
    )
    assert chosen == (other in keys) or of_another_length


def test_windows_that_follow_each_other_are_one_range():
    keys = [WindowKey("hall_1", 10_000 * n, 10_000) for n in (7, 6, 5, 3, 2)]
    assert ranges(of_windows(keys)) == [
        {"$gt": f"{keys[4]}/", "$lt": f"{keys[3]}0"},
        {"$gt": f"{keys[2]}/", "$lt": f"{keys[0]}0"},
    ]
