"""Part f: how soon the operator has made what 1,000 new Sensors need, on a real API server."""

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bench_operator_memory
import cluster_choice
from bench_process import memory_mb
from bench_result import Aim, Part
from cluster_client import Cluster
from cluster_home import UnavailableError
from sensorpipe_operator.desired import builders
from sensorpipe_operator.kube_api import KubeApi
from sensorpipe_operator.names import Kind
from sensorpipe_operator.settings import Settings
from sensorpipe_schema.sensor import API_VERSION, Sensor
from support.kube import operator_process
from support.kube.operator_parts import listed
from support.kube.operator_process import Namespace, Operator
from support.kube.operator_proxy import spoilable
from support.waiting import eventually, until

SENSORS_EACH = int(os.environ.get("BENCH_SENSORS", "1000"))
AT_ONCE = 20
IDLE_SECONDS = 60
RUNS = int(os.environ.get("BENCH_OPERATOR_RUNS", "3"))

_IMAGE = {"SENSORPIPE_GENERATOR_IMAGE": "localhost/none:1"}
_GENERATORS = Settings.read(_IMAGE).generator
_POLL = 0.2
_GONE_SECONDS = 300
_SILENCE = 5


async def run(folder: Path) -> list[Part]:
    """Read its memory; then create Sensors with it at work, and directly without it, in turn."""
    memory = await bench_operator_memory.measured(folder)
    part = Part(
        f"f. Operator: {SENSORS_EACH:,} new Sensors, {AT_ONCE} at a time",
        "Until each has its ConfigMap, its Deployment and its status (Sensors per second, without "
        "pods);\ndirectly: the same four writes by a plain client, in the same cluster.",
        limit="directly",
    )
    try:
        cluster = cluster_choice.cluster()
    except UnavailableError as reason:
        print(f"\noperator on a cluster: skipped: {reason}")
        return memory
    try:
        operator_process.install(cluster)
        for _ in range(RUNS):
            await _measure(part, cluster, folder)
        part.aims.append(await _idle(cluster, folder))
    finally:
        cluster.maker.stop()
    times = part.row("directly").rate / part.row("operator").rate
    part.aims.insert(0, Aim("times the direct time", times, 1.5, at_most=True))
    return [*memory, part]


async def _measure(part: Part, cluster: Cluster, folder: Path) -> None:
    config = operator_process.kubeconfig(cluster, folder)
    async with operator_process.api(cluster) as api:
        with _alone(cluster) as name:
            seconds = await _directly(api, name)
            part.row("directly").add(SENSORS_EACH / seconds, 0)
        with (
            _alone(cluster) as name,
            operator_process.running(
                cluster,
                folder,
                config,
                GENERATOR_IMAGE=_GENERATORS.image,
                WATCH_NAMESPACES=name,
            ) as operator,
        ):
            began, cpu = time.monotonic(), _cpu_seconds(operator)
            await _each(lambda i: _post(api, name, i))
            await _complete(api, name, operator)
            seconds = time.monotonic() - began
            cpu_us = (_cpu_seconds(operator) - cpu) * 1e6 / SENSORS_EACH
            part.row("operator").add(SENSORS_EACH / seconds, cpu_us)
            part.aims = _aims(operator)


@contextmanager
def _alone(cluster: Cluster) -> Iterator[str]:
    """Yield a namespace; wait afterwards until all in it is gone, which keeps a cluster busy."""
    with cluster.namespace() as name:
        yield name
    until(Namespace(cluster, name).gone, seconds=_GONE_SECONDS)


def _aims(operator: Operator) -> list[Aim]:
    written = _status_writes(operator)
    return [
        Aim("MB of the operator", memory_mb(operator.process.pid), 250, at_most=True),
        Aim("status writes a Sensor", written / SENSORS_EACH, 1, at_most=True),
    ]


async def _idle(cluster: Cluster, folder: Path) -> Aim:
    """Count what is asked of the API server while nothing happens, the probes' questions too.

    The operator has no Lease here, whose renewals would be 30 requests a minute more.
    """
    config = operator_process.kubeconfig(cluster, folder)
    settings = {"GENERATOR_IMAGE": _GENERATORS.image}
    async with operator_process.api(cluster) as api:
        with (
            _alone(cluster) as name,
            spoilable(config, folder) as (proxy, path),
            operator_process.running(
                cluster, folder, path, WATCH_NAMESPACES=name, **settings
            ) as operator,
        ):
            for number in range(AT_ONCE):
                await _post(api, name, number)
            silence = "sensorpipe_operator_silence_seconds"
            await eventually(lambda: operator.metric(silence) > _SILENCE)
            asked = len(proxy.requests)
            for second in range(IDLE_SECONDS):
                for path_, period in (("/readyz", 10), ("/healthz", 30)):  # as its Deployment has
                    if second % period == 0:
                        await asyncio.to_thread(operator.get, path_)
                await asyncio.sleep(1)
            a_minute = (len(proxy.requests) - asked) * 60 / IDLE_SECONDS
    return Aim("requests a minute when nothing happens", a_minute, 10, at_most=True)


async def _each(do: Callable[[int], Awaitable[object]]) -> None:
    """Do it for every Sensor, so many at a time."""
    numbers = iter(range(SENSORS_EACH))

    async def worker() -> None:
        for number in numbers:
            await do(number)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(worker())


async def _post(api: KubeApi, namespace: str, number: int) -> dict[str, Any]:
    body = {
        "apiVersion": API_VERSION,
        "kind": "Sensor",
        "metadata": {"name": f"s{number}", "namespace": namespace},
        "spec": {
            "facility": f"f{number}",
            "interval": "5s",
            "replicas": 0,
            "measurements": [{"name": "t", "signal": {"normal": {"mean": 20, "stdev": 1}}}],
        },
    }
    path = Kind.SENSOR.resource.path(namespace)
    return await api._call("POST", path, {"fieldManager": "bench"}, body)


async def _directly(api: KubeApi, namespace: str) -> float:
    """Make for each Sensor what the operator would; return the seconds it took."""

    async def do(number: int) -> None:
        body = await _post(api, namespace, number)
        made = Sensor.parse(body)
        for child in builders.build_children(made, body["metadata"]["uid"], _GENERATORS):
            await api.create(child)
        await api.apply_status(body, {"observedGeneration": 1, "replicas": 0, "readyReplicas": 0})

    began = time.monotonic()
    await _each(do)
    return time.monotonic() - began


async def _complete(api: KubeApi, namespace: str, operator: Operator) -> None:
    """Wait until every Sensor has its Deployment and its status.

    The operator is asked how far it is, and the API server once it says that it is done: to
    list thousands of objects again and again would be most of what is measured.
    """
    while True:
        await asyncio.sleep(_POLL)
        if await asyncio.to_thread(_status_writes, operator) < SENSORS_EACH:
            continue
        deployments = await listed(api, Kind.DEPLOYMENT, namespace)
        sensors = await listed(api, Kind.SENSOR, namespace)
        told = sum("observedGeneration" in body.get("status", {}) for body in sensors)
        if len(deployments) == told == SENSORS_EACH:
            return


def _status_writes(operator: Operator) -> float:
    found = re.search(r'_writes_total\{kind="Status"\} (\S+)', operator.get("/metrics")[1])
    return float(found[1]) if found else 0.0


def _cpu_seconds(operator: Operator) -> float:
    fields = Path(f"/proc/{operator.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
