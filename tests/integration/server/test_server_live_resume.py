"""Who connects again gets what it has missed: everything, once, or the news that it is lost."""

import asyncio
import random
from contextlib import AsyncExitStack

import pytest
from sensorpipe_server.api.live import joining
from support.live_streams import listening, live
from support.server_parts import fresh_database, one, store


@pytest.fixture
async def db(mongod_set):
    async with fresh_database(mongod_set) as fresh:
        yield fresh


def state(event):
    """Return what tells the states of a window apart."""
    data = event.data
    return data["facility_name"], data["window"]["start_time"], data["count_temperature"]


class Ledger:
    """What was stored, and what one client has got over all its connections."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, int], int] = {}
        self.got: list[tuple[str, str, int]] = []
        self.number = 0

    def message(self, chance: random.Random) -> bytes:
        """Return a partial of one reading, of a new window or of one of the last."""
        facility, window = f"hall_{chance.randrange(3)}", self.number // 20 - chance.randrange(2)
        self.number += 1
        key = facility, max(window, 0)
        self.stored[key] = self.stored.get(key, 0) + 1
        pair = [(self.number, 1.0)]
        return one(pair, facility=facility, window=max(window, 0), number=self.number)

    def is_complete(self) -> bool:
        """Whether the last state that came of each window is the one that is stored."""
        last = {(facility, start): count for facility, start, count in self.got}
        return sorted(last.values()) == sorted(self.stored.values())


async def writing(db, ledger, chance, batches):
    """Store batches of a few partials, a moment apart."""
    for _ in range(batches):
        await store(db, *(ledger.message(chance) for _ in range(chance.randrange(1, 8))))
        await asyncio.sleep(chance.expovariate(100))  # any moment will do


async def collect(stream, ledger, seconds):
    """Take events for a while, or until all have come."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                event = await stream.event()
                assert event.kind == "window"
                ledger.got.append(state(event))
    except TimeoutError:
        pass


@pytest.mark.parametrize("servers", [1, 2])
async def test_random_disconnects_lose_nothing_and_repeat_nothing(db, servers):
    """With two servers, each connection is to any of them: as behind a load balancer."""
    chance, ledger, last_id = random.Random(servers), Ledger(), ""
    async with AsyncExitStack() as stack:
        ports = [await stack.enter_async_context(live(db)) for _ in range(servers)]
        async with listening(ports[0]) as stream:
            last_id = stream.last_id
        writer = asyncio.create_task(writing(db, ledger, chance, 150))
        while not (writer.done() and ledger.is_complete()):
            async with listening(chance.choice(ports), last_id=last_id) as stream:
                await collect(stream, ledger, chance.expovariate(5))
                last_id = stream.last_id
        await writer
    assert len(ledger.stored) > 50
    assert len(ledger.got) == len(set(ledger.got))


async def test_what_came_while_nobody_listened_comes_first_also_from_another_server(db):
    async with live(db) as port, listening(port) as stream:
        await store(db, one([(1, 1.0)]))
        event = await stream.event()
    for number in (2, 3):
        await store(db, one([(number, 1.0)], window=number, number=number))
    async with live(db) as port, listening(port, last_id=event.id) as stream:
        missed = await stream.events(2)
        await store(db, one([(4, 1.0)], window=4, number=4))
        assert [state(each)[2] for each in [*missed, await stream.event()]] == [1, 1, 1]
        starts = [each.data["window"]["start_time"] for each in missed]
    assert starts == ["2024-11-14T16:00:20Z", "2024-11-14T16:00:30Z"]


async def test_what_is_longer_ago_than_others_need_comes_by_a_stream_of_its_own(db, monkeypatch):
    monkeypatch.setattr("sensorpipe_server.api.live.feed.BACK_SECONDS", 0)
    async with live(db) as port, listening(port) as stream:
        first = stream.last_id
        for number in range(1, 301):
            await store(db, one([(number, 1.0)], window=number, number=number))
    async with live(db) as port, listening(port) as other:
        async with AsyncExitStack() as stack:
            streams = [
                await stack.enter_async_context(listening(port, last_id=first)) for _ in range(6)
            ]
            await store(db, one([(1, 1.0)], window=999, number=999))
            for stream in streams:
                states = [state(each) for each in await stream.events(301)]
                assert len(set(states)) == 301
                assert states[-1][1] == "2024-11-14T18:46:30Z"
        assert state(await other.event())[1] == "2024-11-14T18:46:30Z"


async def gap_of(db, last_id, number=1):
    """Return the event that a client with an id gets, and what comes after it."""
    async with live(db) as port, listening(port, last_id=last_id) as stream:
        gap = await stream.event()
        await store(db, one([(number, 1.0)], window=number, number=number))
        assert (await stream.event()).kind == "window"
    return gap


async def test_an_id_that_is_none_is_a_gap(db):
    for number, last_id in enumerate(("nonsense", "1", "0" * 16 + "-", "g" * 16 + "-1", "é"), 1):
        gap = await gap_of(db, last_id, number)
        assert gap.kind == "gap"
        assert gap.data == {"reason": "the Last-Event-ID is not of an event of this server"}


async def test_an_id_of_a_time_to_come_is_a_gap(db):
    gap = await gap_of(db, "ffffffff00000001-1")
    assert gap.data == {"reason": "the Last-Event-ID is of another database"}


async def test_more_windows_than_are_sent_again_are_a_gap(db, monkeypatch):
    monkeypatch.setattr("sensorpipe_server.api.live.feed.BACK_SECONDS", 0)
    monkeypatch.setattr(joining, "MAX_WINDOWS", 2)
    async with live(db) as port, listening(port) as stream:
        first = stream.last_id
        for number in (1, 2, 3):
            await store(db, one([(number, 1.0)], window=number, number=number))
    gap = await gap_of(db, first, 9)
    assert gap.data == {"reason": "more than 2 windows have changed since then"}
