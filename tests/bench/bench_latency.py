"""Part e: how soon a window is visible in the API, and what memory that takes."""

import asyncio
import os
import time
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from statistics import quantiles
from typing import Any

from bench_backing import backing
from bench_process import memory_mb, program
from bench_result import Aim, Part
from bench_scrape import answer
from bench_workload import FACILITIES, SENSORS
from sensorpipe_cli.runner.child import Child
from support.pipeline import until_ready

SECONDS = float(os.environ.get("BENCH_LATENCY_SECONDS", "60"))
LATENESS = 2.0
IN_A_WINDOW = 10_000

SENSOR = """\
apiVersion: sensorpipe.dev/v1alpha1
kind: Sensor
metadata: {{name: {name}}}
spec:
  facility: {facility}
  count: 1000
  interval: 1s
  measurements:
    - {{name: humidity, signal: {{normal: {{mean: 50, stdev: 0.5}}}}}}
    - {{name: pressure, signal: {{normal: {{mean: 1013, stdev: 10}}}}}}
    - {{name: temperature, signal: {{normal: {{mean: 20, stdev: 0.2}}}}}}
"""

_POLL = 0.1


async def run(folder: Path) -> list[Part]:
    """Run everything at 9,000 readings a second and watch the API."""
    part = Part(
        "e. All together: 9,000 readings a second",
        f"3 Sensors of 1,000 devices at 1 s for {SECONDS:g} s; every {_POLL:g} s the API is asked "
        "for each facility's\nlast windows; one counts as visible once it holds all its readings.",
    )
    async with AsyncExitStack() as stack:
        compactor, server = await _pipeline(stack, folder)
        delays, compactor_mb, server_mb = await _watched(compactor, server)
        integrity = await answer(server.port, "/api/integrity")
    part.aims = [
        Aim(f"s to visible, p95 of {len(delays)} windows", _p95(delays), 2, at_most=True),
        Aim("MB of the compactor", compactor_mb, 200, at_most=True),
        Aim("MB of the server", server_mb, 200, at_most=True),
        Aim("readings lost", integrity["totals"]["lost"], 0, at_most=True),
        Aim("duplicate readings", integrity["totals"]["duplicates"], 0, at_most=True),
    ]
    return [part]


async def _pipeline(stack: AsyncExitStack, folder: Path) -> tuple[Child, Child]:
    """Start services and programs; return the compactor and the server."""
    environ = (await backing(stack, folder)).environ

    async def start(name: str, **more: str) -> Child:
        argv = ["-m", f"sensorpipe_{name.partition('-')[0]}"]
        child = await stack.enter_async_context(program(name, argv, folder, environ | more))
        await child.listening()
        return child

    server, compactor = await start("server"), await start("compactor")
    # the broker drops what comes before the compactor has subscribed
    await until_ready(compactor)
    for number, facility in enumerate(FACILITIES):
        sensor = folder / f"{facility}.yaml"
        sensor.write_text(SENSOR.format(name=f"bench-{number}", facility=facility))
        await start(f"generator-{number}", SENSORPIPE_SENSOR=str(sensor))
    return compactor, server


async def _watched(compactor: Child, server: Child) -> tuple[list[float], float, float]:
    """Return every window's delay, and the most memory that the two programs had."""
    delays: list[float] = []
    seen: set[tuple[str, str]] = set()
    compactor_mb = server_mb = 0.0
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for facility in FACILITIES:
            page = await answer(server.port, f"/api/sensors/{facility}?limit=3")
            for item in page["data"]:
                window = facility, item["window"]["end_time"]
                if window not in seen and _whole(item):
                    seen.add(window)
                    delays.append(_since(window[1]) - LATENESS)
        compactor_mb = max(compactor_mb, memory_mb(compactor.pid))
        server_mb = max(server_mb, memory_mb(server.pid))
        await asyncio.sleep(_POLL)
    return delays, compactor_mb, server_mb


def _whole(item: dict[str, Any]) -> bool:
    """Whether a window holds every reading: until then it is there only in part."""
    return all(item.get(f"count_{sensor}") == IN_A_WINDOW for sensor, _ in SENSORS)


def _since(text: str) -> float:
    return time.time() - datetime.fromisoformat(text).timestamp()


def _p95(delays: list[float]) -> float:
    return quantiles(delays, n=20, method="inclusive")[-1]
