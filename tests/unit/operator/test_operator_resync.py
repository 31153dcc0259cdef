"""Resync finds changes that no watch reported: on request, and again after a failure."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry
from sensorpipe_operator.cache import Cache, Namespaces
from sensorpipe_operator.kube_api import ApiError
from sensorpipe_operator.metrics import OperatorMetrics
from sensorpipe_operator.names import Body, Kind
from sensorpipe_operator.watch import resync
from sensorpipe_operator.workqueue import WorkQueue
from support.kube.operator_parts import KEY, sensor_body
from support.waiting import eventually


class Api:
    """Has one Sensor, once it has failed so many times."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.failures, self.error = failures, error

    async def pages(
        self, kind: Kind, namespace: str | None
    ) -> AsyncIterator[tuple[list[Body], int]]:
        assert namespace is None
        if self.failures:
            self.failures -= 1
            raise self.error
        yield ([sensor_body()] if kind is Kind.SENSOR else []), 1


EXPIRED = ApiError(410, "Expired", "the list went on for too long")


@pytest.mark.parametrize(
    ("failures", "error"), [(0, EXPIRED), (2, EXPIRED), (2, KeyError("items"))]
)
async def test_it_is_done_when_asked_for_until_it_succeeds(
    monkeypatch: pytest.MonkeyPatch, failures: int, error: Exception
) -> None:
    for pause in ("_SETTLE_SECONDS", "_RETRY_SECONDS"):
        monkeypatch.setattr(resync, pause, 0)
    cache, queue, requested = Cache(), WorkQueue(), asyncio.Event()
    seen: list[object] = []

    async def do(key: object) -> bool:
        seen.append(key)
        return True

    metrics = OperatorMetrics(CollectorRegistry())
    listing = resync.resync(
        Api(failures, error),
        cache,
        queue,
        metrics,
        namespaces=Namespaces(()),
        every_seconds=3600,
        requested=requested,
    )
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(listing), tasks.create_task(queue.run_worker(do))]
        requested.set()
        await eventually(lambda: seen)
        for task in running:
            task.cancel()
    assert seen == [KEY]
    assert len(cache.sensors()) == 1
