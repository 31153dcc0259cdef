"""SIGTERM ends the operator, whatever its watches are about just then."""

import asyncio
import os
import signal
from collections.abc import Iterator
from typing import Any

import kopf
import pytest
from kopf._cogs.structs.references import Insights
from sensorpipe_operator import listening
from sensorpipe_operator.mirror import Mirror
from sensorpipe_operator.watching import Watching
from sensorpipe_operator.work import WorkQueue


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
            for _ in range(10):  # more than the loop needs to hear of it
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
    monkeypatch.setattr(kopf, "operator", fake.operator)
    monkeypatch.setattr(listening, "_PAUSE_SECONDS", 0)

    async def first() -> None:
        if kill_at == "first":
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()

    watching = Watching(Mirror(), WorkQueue())
    async with asyncio.timeout(20):
        await listening.listen(watching, (), first)
    assert fake.began == (0 if kill_at == "first" else 1)


class Deaf:
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
    fake = Deaf()
    monkeypatch.setattr(kopf, "operator", fake.operator)
    monkeypatch.setattr(listening, "_PAUSE_SECONDS", 0)

    async def first() -> None:
        await asyncio.sleep(0)

    async with asyncio.timeout(20):
        await listening.listen(Watching(Mirror(), WorkQueue()), (), first)
    assert fake.began == 2
    (error, *_) = [record.__dict__["error"] for record in caplog.records]
    assert error == "the cluster does not serve configmaps, deployments, pods, sensors yet"
