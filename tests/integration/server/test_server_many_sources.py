"""130,000 publishers in one window: more than a document of MongoDB could hold."""

import asyncio
import json
import subprocess
import sys
import uuid
from typing import Any

import httpx2
import pytest
from aiokafka import AIOKafkaProducer
from sensorpipe_schema.names import COMPACTED
from sensorpipe_schema.partial import encode
from sensorpipe_schema.reading import MAX_SRC
from support.server_parts import fresh_database, partial, summary
from support.server_process import server_child
from support.services import running
from support.waiting import eventually

SOURCES = 130_000
IN_ONE_PARTIAL = 5_000
DOCUMENT = 16 * 1024 * 1024
"""Bytes that MongoDB takes at most in one document."""

MESSAGE = 1_000_000
"""Bytes that Kafka takes at most in one message, as it comes."""


def messages(facility: str) -> list[bytes]:
    """Return partials of one window with readings 1 and 2 of every source."""
    made = []
    sources = [f"{number:x}".rjust(MAX_SRC, "s") for number in range(SOURCES)]
    for number, first in enumerate(range(0, SOURCES, IN_ONE_PARTIAL), 1):
        some = sources[first : first + IN_ONE_PARTIAL]
        held = summary(enumerate([20.0, 22.0] * len(some)), src=None)
        held.sources = {src: [(1, 2)] for src in some}
        made.append(encode(partial({"temperature": held}, facility=facility, number=number)))
    return made


@pytest.mark.promise
async def test_every_source_of_a_window_is_stored_and_seen(tansu, mongod, tmp_path):
    facility = f"f{uuid.uuid4().hex[:12]}"
    sent = messages(facility)
    assert max(map(len, sent)) < MESSAGE
    assert sum(map(len, sent)) > DOCUMENT
    async with AIOKafkaProducer(bootstrap_servers=f"127.0.0.1:{tansu.port}") as producer:
        for message in sent:
            await producer.send_and_wait(COMPACTED, message, key=facility.encode())
    async with fresh_database(mongod) as db:
        server = server_child(tmp_path, tansu, mongod, db.name)
        url = f"http://127.0.0.1:{server.port}"
        async with running(server), httpx2.AsyncClient(base_url=url, timeout=60) as client:

            async def page() -> Any:
                return (await client.get(f"/api/sensors/{facility}")).json()["data"]

            async def is_stored():
                return [item["count_temperature"] for item in await page()] == [2 * SOURCES]

            await eventually(is_stored)
            (item,) = await page()
            assert (item["avg_temperature"], item["max_temperature"]) == (21.0, 22.0)
            query = f"sensors=temperature&facility={facility}"
            (entry,) = (await client.get(f"/api/stats?{query}")).json()
            assert (entry["temperature"]["count"], entry["temperature"]["avg"]) == (2 * SOURCES, 21)
            answer = (await client.get(f"/api/integrity?facility={facility}")).json()
            done = await verify(url, facility)
    assert answer["totals"] == {
        "count": 2 * SOURCES, "lost": 0, "pending": 0, "duplicates": 0, "unidentified": 0,
        "sources": SOURCES, "unreadable": 0, "removed": 0,
    }  # fmt: skip
    assert answer["set_aside"]["refused"] == 0
    assert json.loads(done.stdout)["totals"] == answer["totals"]


async def verify(url: str, facility: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "sensorpipe_cli", "verify", "--json"]
    argv += ["--url", url, "--facility", facility]
    return await asyncio.to_thread(
        subprocess.run, argv, capture_output=True, text=True, check=False
    )
