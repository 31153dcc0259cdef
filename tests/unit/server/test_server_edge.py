"""A round of rollups is due once many stored windows could be taken in, and not before."""

import asyncio

import pytest
from sensorpipe_server.storage.pending import Pending
from sensorpipe_server.storage.rollups import edge
from sensorpipe_server.storage.rollups.edge import Edge
from support.server_parts import Record

BUCKET_MS = 300_000
WINDOW_MS = 10_000
WINDOWS = BUCKET_MS // WINDOW_MS
MARGIN_MS = 122_000


def stored(facility: str, start_ms: int) -> Pending:
    """Return a partial as far as its window is looked at."""
    return Pending({}, Record(b"", 0), (facility, "t"), start_ms, start_ms + WINDOW_MS)


def bucket(facility: str, number: int) -> list[Pending]:
    """Return all windows of one bucket of a facility."""
    first = number * BUCKET_MS
    return [stored(facility, first + at * WINDOW_MS) for at in range(WINDOWS)]


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> int:
    """Have a round be due by two buckets of windows."""
    monkeypatch.setattr(edge, "LONG", 2 * WINDOWS)
    return 2 * WINDOWS


@pytest.mark.usefixtures("long")
def test_a_round_is_due_once_the_margin_is_past_two_buckets() -> None:
    found = Edge(MARGIN_MS)
    for number in range(2):
        found.add(bucket("f", number))
    found.add([stored("f", 2 * BUCKET_MS + MARGIN_MS - 1)])
    assert not found.is_long()
    found.add([stored("f", 2 * BUCKET_MS + MARGIN_MS)])
    assert found.is_long()


@pytest.mark.usefixtures("long")
def test_a_round_that_begins_counts_anew() -> None:
    found = Edge(0)
    for number in range(3):
        found.add(bucket("f", number))
    assert found.is_long()
    found.begin()
    assert not found.is_long()
    found.add(bucket("f", 3))  # with it one bucket is complete
    assert not found.is_long()
    found.add([*bucket("f", 4), *bucket("f", 5)[:1]])
    assert found.is_long()


@pytest.mark.usefixtures("long")
def test_late_windows_and_open_buckets_make_no_round() -> None:
    found = Edge(0)
    found.add(bucket("f", 10))
    for number in range(10):  # which are marked, and computed again by the clock
        found.add(bucket("f", number))
    assert not found.is_long()


def test_a_round_of_many_facilities_takes_more_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "LONG", 1)
    monkeypatch.setattr(edge, "LONG_EACH", 1.5 * WINDOWS)
    found = Edge(0)
    for name in ("f", "g"):
        found.add(bucket(name, 0) + bucket(name, 1))
    assert not found.is_long()  # three quarters of what a round takes
    for name in ("f", "g"):
        found.add(bucket(name, 2))
    assert found.is_long()


def test_no_more_facilities_are_remembered_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "REMEMBERED", 2)
    found = Edge(0)
    found.add(stored(name, 0) for name in "abc")
    assert found._open == {}


@pytest.mark.usefixtures("long")
async def test_who_waits_goes_on_once_a_round_is_due() -> None:
    found = Edge(0)
    waiting = asyncio.ensure_future(found.until_long())
    for number in range(2):
        found.add(bucket("f", number))
        await asyncio.sleep(0)
        assert not waiting.done()
    found.add(bucket("f", 2))
    await waiting
    found.begin()
    again = asyncio.ensure_future(found.until_long())
    await asyncio.sleep(0)
    assert not again.done()
    again.cancel()
