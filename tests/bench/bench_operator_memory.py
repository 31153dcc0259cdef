"""How much memory the operator needs for so many Sensors, from its start on."""

import asyncio
import os
from pathlib import Path

from bench_result import Aim, Figure, Part
from sensorpipe_operator.settings import Settings
from settled_cluster import NAMESPACE, SettledCluster, serving
from support.kube.operator_process import Operator, beside
from support.waiting import until

SIZES = tuple(map(int, os.environ.get("BENCH_MEMORY_SENSORS", "1000,3000,10000").split(",")))
LIMIT_MIB = 256
"""The chart's memory limit of the operator."""

_IMAGE = "localhost/none:1"
_SECONDS = 600
_LISTS = 2
_RECONCILED = "sensorpipe_operator_reconcile_seconds_count"
_RESYNC = "30s"
"""Every list after the first is as large, and comes while the cache is full."""


async def measured(folder: Path) -> list[Part]:
    """Start an operator for each number of Sensors, and read its highest resident memory."""
    part = Part(
        "f. Operator: memory for Sensors of one replica",
        "The highest resident memory from the start through two complete lists, beside an API "
        "server that holds\nSensors, ConfigMaps, Deployments and pods as a real one lists them.",
    )
    for sensors in SIZES:
        await _measure(part, folder, sensors)
    return [part]


async def _measure(part: Part, folder: Path, sensors: int) -> None:
    generator = Settings.read({"SENSORPIPE_GENERATOR_IMAGE": _IMAGE}).generator
    cluster = SettledCluster(sensors, generator)
    async with serving(cluster, folder) as config:
        peak = await asyncio.to_thread(_peak_with, folder, config, sensors)
    assert cluster.writes == 0
    text = sum(cluster.bytes_sent.values()) / sensors / 1000
    part.figures.append(Figure(f"{sensors:,} Sensors: text in the lists of each", text, "KB"))
    part.aims.append(Aim(f"MiB for {sensors:,} Sensors", peak, LIMIT_MIB, at_most=True))


def _peak_with(folder: Path, config: Path, sensors: int) -> float:
    settings = {"WATCH_NAMESPACES": NAMESPACE, "RESYNC": _RESYNC}
    with beside(folder, config, os.environ, GENERATOR_IMAGE=_IMAGE, **settings) as operator:
        until(lambda: _is_idle(operator, sensors), seconds=_SECONDS)
        for _ in range(_LISTS):
            _next_list(operator)
        assert operator.get("/healthz")[0] == 200
        return _peak_mib(operator.process.pid)


def _is_idle(operator: Operator, sensors: int) -> bool:
    """Whether it has reconciled every Sensor, and has none waiting."""
    waiting = operator.metric("sensorpipe_operator_queue")
    return operator.metric(_RECONCILED) >= sensors and waiting == 0


def _next_list(operator: Operator) -> None:
    """Wait for the next complete list, after which its age is less than before."""
    before = 0.0

    def is_younger() -> bool:
        nonlocal before
        age = operator.metric("sensorpipe_operator_list_age_seconds")
        before, was = max(before, age), before
        return age < was

    until(is_younger, seconds=_SECONDS)


def _peak_mib(pid: int) -> float:
    """Return the highest resident memory of a process so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024
