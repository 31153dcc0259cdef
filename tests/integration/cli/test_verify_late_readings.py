"""`sensorpipe verify` while late readings flow through the whole pipeline."""

import asyncio
import json
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from sensorpipe_runtime.mqtt.publisher import Publisher
from sensorpipe_schema.names import reading_topic
from sensorpipe_schema.reading import Reading, encode
from support.pipeline import pipeline
from support.pipeline_parts import counted, publishing

CALLS = 8
HOUR_MS = 3_600_000
EACH = 20


async def verify(port: int | None) -> tuple[int | None, dict[str, Any]]:
    """Return the exit code of verify and the totals that it saw."""
    url = f"http://127.0.0.1:{port}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sensorpipe_cli", "verify", "--json", "--url", url,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    return process.returncode, json.loads(output)["totals"]


async def publish_late(publisher: Publisher, facility: str, stop: asyncio.Event) -> int:
    """Publish readings of which every other one is late, until told to stop; return how many."""
    topic, seq = reading_topic(facility, "temperature"), 0
    while not stop.is_set():
        now_ms = time.time_ns() // 1_000_000
        payloads = []
        for _ in range(EACH):
            seq += 1
            late = seq * 7_919 % HOUR_MS if seq % 2 else 0
            payloads.append(encode(Reading(now_ms - late, 1.0, facility, seq)))
        publisher.publish(topic, payloads)
        await publisher.drained()
        await asyncio.sleep(0.1)  # the pace of the publisher; nothing waits for it
    return seq


async def test_verify_calls_nothing_lost_while_late_readings_flow(tmp_path: Path) -> None:
    facility, stop = f"f{uuid.uuid4().hex[:12]}", asyncio.Event()
    async with (
        pipeline(tmp_path) as parts,
        publishing(parts.mqtt, facility) as publisher,
        asyncio.TaskGroup() as tasks,
    ):
        flowing = tasks.create_task(publish_late(publisher, facility, stop))
        await counted(parts, facility, 4 * EACH)
        seen = []
        for number in range(1, CALLS + 1):
            await counted(parts, facility, (number + 4) * EACH)
            seen.append(await verify(parts.server.port))
        stop.set()
        await counted(parts, facility, await flowing)
        last = await verify(parts.server.port)
    assert [(code, totals["lost"]) for code, totals in seen] == [(0, 0)] * CALLS
    assert max(totals["pending"] for _, totals in seen) > 0
    assert (last[0], last[1]["lost"], last[1]["pending"]) == (0, 0, 0)
