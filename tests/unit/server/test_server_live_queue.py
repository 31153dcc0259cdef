"""What waits for a client of `/api/live` is bounded and shared, and says where it is given up."""

import asyncio
import threading
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from sensorpipe_schema.moments import Moments
from sensorpipe_server.api.live import events
from sensorpipe_server.api.live.audience import ENCODED, Audience
from sensorpipe_server.api.live.client import MAX_BYTES, Client
from sensorpipe_server.api.live.events import Chunk, Event, Stored
from sensorpipe_server.api.live.joining import Joining
from sensorpipe_server.api.live.recent import RecentChanges, window_of
from sensorpipe_server.api.live.selection import Selection
from sensorpipe_server.storage.documents import WindowKey
from sensorpipe_server.storage.mongodb.changes import Change, Position
from sensorpipe_server.storage.reads.extents import matcher
from sensorpipe_server.storage.reads.pages import Row

START = Position(1000, 1, 0)


def place(number: int) -> Position:
    return Position(1000, 1 + number, 1)


def event(number: int, content: bytes = b"x") -> Event:
    return Event(place(number), content)


def push(client: Client, *some: Event) -> None:
    client.push(some, events.chunk(some))


def stored(number: int, facility: str = "hall_1", **sensors: float) -> Stored:
    moments = {name: Moments.of([value]) for name, value in sensors.items()}
    row = Row(WindowKey(facility, 10_000, 10_000), datetime(2026, 1, 1, tzinfo=UTC), moments)
    return Stored(place(number), row, complete=True)


async def test_events_are_taken_in_order_and_counted():
    client = Client(Selection(), START)
    push(client, event(1, b"a"), event(2, b"b"))
    push(client, event(3, b"c"))
    assert await client.take() == (b"abc", 3)
    assert client.position == place(3)


async def test_events_up_to_the_clients_place_are_not_for_it():
    client = Client(Selection(), place(2))
    push(client, event(1, b"a"), event(2, b"b"), event(3, b"c"))
    push(client, event(3, b"c"))
    assert await client.take() == (b"c", 1)


async def test_the_257th_waiting_event_drops_all_and_says_so():
    client = Client(Selection(), START)
    for number in range(1, 257):
        push(client, event(number))
    push(client, event(257))
    content, number = await client.take()
    assert number == 1
    data = b'{"reason":"the client read too slowly"}'
    assert content == f"id: {place(257)}\nevent: gap\ndata: ".encode() + data + b"\n\n"


async def test_256_waiting_events_are_kept():
    client = Client(Selection(), START)
    for number in range(1, 257):
        push(client, event(number))
    assert await client.take() == (b"x" * 256, 256)


@pytest.mark.parametrize(("size", "gaps"), [(MAX_BYTES // 2, 0), (MAX_BYTES // 2 + 1, 1)])
async def test_what_waits_is_bounded_in_bytes(size: int, gaps: int):
    client = Client(Selection(), START)
    push(client, event(1, b"x" * size))
    push(client, event(2, b"x" * size))
    assert (await client.take())[0].count(b"event: gap") == gaps


async def test_one_event_may_be_larger_than_the_bound():
    client = Client(Selection(), START)
    push(client, event(1, b"x" * 2 * MAX_BYTES))
    assert len((await client.take())[0]) == 2 * MAX_BYTES


async def test_a_heartbeat_waits_behind_nothing_and_never_goes_back():
    client = Client(Selection(), place(5))
    client.beat(place(4), Chunk(b"early", 0))
    client.beat(place(6), Chunk(b"beat", 0))
    client.beat(place(7), Chunk(b"another", 0))
    assert await client.take() == (b"beat", 0)


async def test_a_closed_client_waits_for_nothing():
    client = Client(Selection(), START)
    client.close()
    assert await client.take() == (b"", 0)


async def test_clients_of_one_selection_share_the_bytes():
    audience = Audience()
    clients = [Client(Selection(("hall_*",)), START) for _ in range(2)]
    other = Client(Selection(("line_1",)), START)
    for client in (*clients, other):
        audience.join(client)
    await audience.push([stored(1, "hall_1", t=1.0), stored(2, "line_1", t=2.0)])
    first, second = [(await client.take())[0] for client in clients]
    assert first is second
    assert b'"facility_name":"hall_1"' in first
    assert b"line_1" not in first
    assert b'"facility_name":"line_1"' in (await other.take())[0]
    assert not audience.wants("tank_1")
    audience.leave(other)
    assert not audience.wants("line_1")
    assert len(audience) == 2


async def test_what_was_missed_by_many_patterns_is_chosen_in_a_thread(monkeypatch):
    changes = [(place(n), WindowKey(f"hall_{n}", 10_000, 10_000)) for n in range(1, 201)]
    feed: Any = SimpleNamespace(
        start=lambda: asyncio.sleep(0),
        delivering=asyncio.Lock(),
        recent=RecentChanges(START),
        position=changes[-1][0],
        audience=Audience(),
    )
    feed.recent.add(changes, feed.position)
    threads = []
    windows_after = RecentChanges.windows_after

    def watched(*args):
        threads.append(threading.current_thread() is threading.main_thread())
        return windows_after(*args)

    monkeypatch.setattr(RecentChanges, "windows_after", watched)
    few, many = ("hall_7",), (*(f"*x{n}*" for n in range(499)), "hall_7")
    for patterns in (few, many):
        joined = await Joining(feed).join(Selection(patterns), str(START))
        assert joined.missed == {changes[6][1]: changes[6][0]}
    assert threads == [True, False]


async def test_other_tasks_run_while_events_are_made_and_one_of_them_may_leave():
    audience = Audience()
    clients = [Client(Selection((), (f"s{number}", "t")), START) for number in range(50)]
    for client in clients:
        audience.join(client)
    turns = 0

    async def others():
        nonlocal turns
        audience.leave(clients[-1])
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    await audience.push([stored(number, f"hall_{number}", t=1.0) for number in range(100)])
    task.cancel()
    assert turns >= 40 * 100 // ENCODED
    taken = [await client.take() for client in clients[:-1]]
    assert all(number == 100 and content == taken[0][0] for content, number in taken)
    clients[-1].close()
    assert (await clients[-1].take())[1] == 0, "it has left"


def test_an_event_has_the_sensors_that_were_asked_for():
    window = stored(1, t=1.0, h=2.0)
    found = window.event(("t",))
    assert found is not None
    assert found.content.startswith(f"id: {place(1)}\nevent: window\ndata: {{".encode())
    assert b'"avg_t":1.0' in found.content
    assert b"avg_h" not in found.content
    assert window.event(("other",)) is None


@pytest.mark.parametrize(
    ("patterns", "matching", "others"),
    [
        ((), ("hall_1", "x"), ()),
        (("hall_1",), ("hall_1",), ("hall_10", "hall")),
        (("hall_*", "x"), ("hall_1", "hall_", "x"), ("hal", "xx")),
        (("*a*b*",), ("ab", "xaxbx"), ("ba", "a")),
        (("a.c",), (), ("abc",)),
    ],
)
def test_names_and_patterns_match(patterns, matching, others):
    matches = matcher(patterns)
    assert all(map(matches, matching))
    assert not any(map(matches, others))


def test_the_oldest_changes_are_forgotten():
    recent = RecentChanges(START, most=3)
    keys = [WindowKey("hall_1", number * 10_000, 10_000) for number in range(5)]
    recent.add([(place(number), keys[number]) for number in range(1, 5)], place(9))
    assert recent.end == place(9)
    assert not recent.covers(START)
    assert recent.covers(place(1))
    assert recent.windows_after(place(2), lambda _: True) == {
        keys[4]: place(4),
        keys[3]: place(3),
    }


def test_a_window_that_changed_twice_is_at_its_last_change():
    recent = RecentChanges(START)
    key = WindowKey("hall_1", 0, 10_000)
    recent.add([(place(1), key), (place(2), WindowKey("x", 0, 1)), (place(3), key)], place(3))
    assert recent.windows_after(START, lambda name: name == "hall_1") == {key: place(3)}


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("hall_1/000000000010000/10000/00000000000000aa/7", WindowKey("hall_1", 10_000, 10_000)),
        ("hall_1/000000000010000/10000/folded", None),
        ("something else", None),
        ("", None),
    ],
)
def test_only_partials_change_windows(text, window):
    assert window_of(Change(START, text)) == window


@pytest.mark.parametrize("position", [START, Position(2**32 - 1, 2**32 - 1, 999_999_999)])
def test_a_place_is_read_as_it_is_written(position):
    assert Position.parse(str(position)) == position


@pytest.mark.parametrize(
    "text", ["", "1-1", "00000000000000001-1", "0000000000000000", "0000000000000000-01", "é"]
)
def test_other_texts_are_no_places(text):
    with pytest.raises(ValueError, match="not a place"):
        Position.parse(text)
