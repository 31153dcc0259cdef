"""What the tests of the server are made of: partials, records, batches, databases."""

import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx2
from sensorpipe_cli.runner.child import Child
from sensorpipe_schema.intervals import join
from sensorpipe_schema.moments import Moments
from sensorpipe_schema.partial import Origin, Partial, Summary, encode, fence
from sensorpipe_schema.sketch import Sketch
from sensorpipe_server.ingest.batch import Batch
from sensorpipe_server.storage.fold import folded
from sensorpipe_server.storage.logs import Log, Place
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.store import Store
from sensorpipe_server.storage.summaries import moments_of

T0 = 1_731_600_000_000
PLACE = Place("topic", 0, "log")
NOW = datetime(2026, 11, 24, tzinfo=UTC)

Seqs = Iterable[tuple[int, float]]


@dataclass(frozen=True)
class Record:
    """A Kafka record, as far as the server looks at it."""

    value: bytes | None
    offset: int = 0
    topic: str = "topic"
    partition: int = 0
    key: bytes | None = b"key"


def summary(readings: Seqs, src: str | None = "run") -> Summary:
    """Return the summary of (seq, value) pairs."""
    pairs = list(readings)
    values = [value for _, value in pairs]
    sources = {src: join((seq, seq) for seq, _ in pairs)} if src is not None else {}
    return Summary(Moments.of(values), Sketch.of(values), sources)


def partial(
    sensors: Mapping[str, Summary],
    *,
    facility: str = "facility_1",
    window: int = 0,
    compactor: str = "c",
    run: int = 1,
    number: int = 1,
) -> Partial:
    """Return a partial of the `window`-th window after T0."""
    start = T0 + window * 10_000
    return Partial(facility, start, start + 10_000, Origin(compactor, run, number), dict(sensors))


def one(values: Seqs, src: str | None = "run", sensor: str = "temperature", **origin) -> bytes:
    """Return the message of a partial with one sensor."""
    return encode(partial({sensor: summary(values, src)}, **origin))


def fence_message(run: int, compactor: str = "c") -> bytes:
    """Return the message of a fence."""
    return encode(fence(compactor, run))


def batch_of(
    *messages: bytes,
    log: Log | None = None,
    first_offset: int = 0,
    received_at: datetime = NOW,
) -> Batch:
    """Return a prepared batch of messages with offsets from `first_offset` on."""
    batch = Batch()
    records = [Record(message, first_offset + i) for i, message in enumerate(messages)]
    if records:
        batch.add(records, log or Log(PLACE, None), received_at)
    return batch


@asynccontextmanager
async def fresh_database(mongod: Child) -> AsyncIterator[database.Database]:
    """Connect to a database of one's own, gone afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    async with database.connect(f"mongodb://127.0.0.1:{mongod.port}/{name}") as client:
        yield database.database(client)
        await client.drop_database(name)


@asynccontextmanager
async def client_of(db, page_limit=20, **options):
    from sensorpipe_server.api.routes import application

    app = application(db, page_limit=page_limit, **options)
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://server") as client:
        yield client


async def store(db, *messages, received_at=NOW):
    outcome = await Store(db).write(batch_of(*messages, received_at=received_at).partials)
    assert not outcome.refused


async def counts(db, sensor="temperature"):
    """Return how many readings of a sensor each window has that has it, in order."""
    found = await database.windows(db).find().sort("_id").to_list()
    return [moments_of(each.sensors[sensor]).count for each in folded(found, {sensor})]
