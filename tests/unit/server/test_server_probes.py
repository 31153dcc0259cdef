"""What the probes are told, whatever the API is doing."""

import asyncio
from contextlib import suppress
from typing import Any

from pymongo.errors import ServerSelectionTimeoutError
from sensorpipe_server.api.probes import Probes


class Db:
    """Answers pings, or does not."""

    def __init__(self):
        self.away = False
        self.asked = asyncio.Event()

    async def command(self, name):
        assert name == "ping"
        self.asked.set()
        if self.away:
            raise ServerSelectionTimeoutError("away")


def probes_of(db: Any, state: dict[str, bool]) -> Probes:
    """Return probes that are told what a dictionary says."""
    return Probes(
        db,
        is_consuming=lambda: state["consuming"],
        is_assigned=lambda: state["assigned"],
        is_answering=lambda: state["answering"],
    )


async def asked_once(probes, db):
    asking = asyncio.create_task(probes.ask())
    await db.asked.wait()
    await asyncio.sleep(0)
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking


async def test_ready_is_what_mongodb_said_last_and_kafkas_share():
    db, state = Db(), {"consuming": True, "assigned": True, "answering": True}
    probes = probes_of(db, state)
    assert probes.ready() == "MongoDB does not answer"
    await asked_once(probes, db)
    assert probes.ready() is True
    state["assigned"] = False
    assert probes.ready() == "Kafka has not assigned partitions"
    state["answering"] = False
    db.away = True
    await asked_once(probes, db)
    assert probes.ready() == (
        "MongoDB does not answer; Kafka has not assigned partitions; "
        "The event loop of the API is blocked"
    )


async def test_an_answer_of_mongodb_does_not_count_for_ever(monkeypatch):
    db = Db()
    probes = probes_of(db, {"consuming": True, "assigned": True, "answering": True})
    await asked_once(probes, db)
    monkeypatch.setattr("sensorpipe_server.api.probes._STALE_SECONDS", -1.0)
    assert probes.ready() == "MongoDB does not answer"


async def test_healthy_is_loops_that_turn_and_a_consumer_that_runs(monkeypatch):
    state = {"consuming": True, "answering": True}
    probes = probes_of(Db(), state)
    assert probes.healthy() is True
    state["consuming"] = False
    assert probes.healthy() == "The consumer has ended or makes no progress"
    state["answering"] = False
    assert probes.healthy() == "The event loop of the API is blocked"
    monkeypatch.setattr(probes.heartbeat, "is_beating", lambda: False)
    assert probes.healthy() == "The event loop is blocked"
