"""SIGTERM ends the operator, whatever its watches are about just then."""

import asyncio
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from kopf._cogs.structs.references import Insights
from sensorpipe_operator.cache import Cache, EventSink, Namespaces
from sensorpipe_operator.watch import run_kopf
from sensorpipe_operator.workqueue import WorkQueue
from support.kube.fake_kopf import replace_kopf


class Kopf:
    """Runs until its watches are refused, and takes its time to end: as kopf does."""

    def __init__(self, *, kill_at: str) -> None:
        self.kill_at = kill_at
        self.began = 0

    async def operator(self, stop_flag: asyncio.Event, ready_flag: asyncio.Event, **_: Any) -> None:
        self.began += 1
        await self.reach("start")
        flag: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, flag.set_result, number)
        ready_flag.set()
        await asyncio.sleep(0)
        if not stop_flag.is_set():
            await self.reach("end")
            raise PermissionError("the watch is refused")

    async def reach(self, point: str) -> None:
        if point == self.kill_at and self.began == 1:
            os.kill(os.getpid(), signal.SIGTERM)
            for _ in range(10):  # more than the loop needs to run the handler
                await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Leave the signals as they were."""
    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("kill_at", ["first", "start", "end"])
async def test_it_stops_at_any_point(monkeypatch: pytest.MonkeyPatch, kill_at: str) -> None:
    fake = Kopf(kill_at=kill_at)
    replace_kopf(monkeypatch, fake.operator)
    monkeypatch.setattr(run_kopf, "_RESTART_SECONDS", 0)

    async def list_first() -> None:
        if kill_at == "first":
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()

    sink = EventSink(Cache(), WorkQueue())
    async with asyncio.timeout(20):
        await run_kopf.run_kopf(sink, Namespaces(()), list_first, asyncio.Event())
    assert fake.began == (0 if kill_at == "first" else 1)


class Unserved:
    """Finds nothing served that it is to watch, and waits for ever; SIGTERM comes at the end."""

    def __init__(self) -> None:
        self.began = 0

    async def operator(self, ready_flag: asyncio.Event, insights: Insights, **_: Any) -> None:
        self.began += 1
        ready_flag.set()
        insights.ready_resources.set()
        if self.began == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()


async def test_it_begins_anew_where_not_all_was_served_at_its_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake = Unserved()
    replace_kopf(monkeypatch, fake.operator)
    monkeypatch.setattr(run_kopf, "_RESTART_SECONDS", 0)

    async def list_first() -> None:
        await asyncio.sleep(0)

    async with asyncio.timeout(20):
        await run_kopf.run_kopf(
            EventSink(Cache(), WorkQueue()), Namespaces(()), list_first, asyncio.Event()
        )
    assert fake.began == 2
    (error, *_) = [record.__dict__["error"] for record in caplog.records]
    assert error == "the cluster does not serve configmaps, deployments, feeds, pods, sensors yet"
