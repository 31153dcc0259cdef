"""No task of a program ends unnoticed, whether it returns, fails or is cancelled."""

import asyncio
import logging
import os
import signal
from collections.abc import Mapping
from types import SimpleNamespace

import pytest
from sensorpipe_runtime import logs, service
from sensorpipe_runtime.aio import is_being_cancelled
from sensorpipe_runtime.service import TaskEndedError, supervise
from sensorpipe_runtime.settings import SettingsError


async def forever() -> None:
    await asyncio.Event().wait()


async def cancelled_inside() -> None:
    """Await a task that was cancelled, as aiokafka's `stop()` does."""
    inner = asyncio.create_task(forever())
    inner.cancel()
    await inner


async def at_once() -> None:
    """Return."""


async def failing() -> None:
    raise OSError("disk full")


async def test_a_task_that_returns_unasked_is_named():
    with pytest.raises(TaskEndedError, match="the task 'flush' returned before it was asked"):
        await supervise({"mqtt": forever(), "flush": at_once()})


async def test_a_task_that_a_library_cancels_is_named():
    with pytest.raises(TaskEndedError, match="the task 'flush' was cancelled before") as caught:
        await supervise({"mqtt": forever(), "flush": cancelled_inside()})
    assert caught.value.task == "flush"


async def test_a_task_that_somebody_else_cancels_is_named():
    async def cancel_flush() -> None:
        (flush,) = (task for task in asyncio.all_tasks() if task.get_name() == "flush")
        flush.cancel()
        await forever()

    with pytest.raises(TaskEndedError, match="the task 'flush' was cancelled"):
        await supervise({"flush": forever(), "rival": cancel_flush()})


async def test_a_background_task_never_may_end():
    with pytest.raises(TaskEndedError, match="the task 'heartbeat' returned"):
        await supervise({"work": forever()}, {"heartbeat": at_once()}, may_end=lambda: True)


async def test_a_failure_is_raised_as_it_is_and_nothing_is_left_running():
    before = asyncio.all_tasks()
    with pytest.raises(OSError, match="disk full"):
        await supervise({"mqtt": forever(), "flush": failing()}, {"heartbeat": forever()})
    assert asyncio.all_tasks() == before


async def test_of_two_ends_the_cause_is_raised_and_the_other_logged(
    caplog: pytest.LogCaptureFixture,
):
    with pytest.raises(OSError, match="disk full"):
        await supervise({"a": at_once(), "b": failing()})
    assert ["'a' returned" in vars(record)["error"] for record in caplog.records] == [True]


async def test_when_stopping_all_of_main_may_return_and_the_background_is_cancelled():
    before = asyncio.all_tasks()
    stop = asyncio.Event()
    asyncio.get_running_loop().call_soon(stop.set)
    await supervise(
        {"mqtt": stop.wait(), "flush": stop.wait()}, {"beat": forever()}, may_end=stop.is_set
    )
    assert asyncio.all_tasks() == before


async def test_a_cancelled_task_is_an_error_even_when_stopping():
    with pytest.raises(TaskEndedError, match="was cancelled"):
        await supervise({"flush": cancelled_inside()}, may_end=lambda: True)


async def test_cancelling_the_whole_is_no_error(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.ERROR)
    before = asyncio.all_tasks()
    whole = asyncio.create_task(supervise({"work": forever()}, {"heartbeat": forever()}))
    await asyncio.sleep(0)
    whole.cancel()
    with pytest.raises(asyncio.CancelledError):
        await whole
    assert whole.cancelled()
    assert asyncio.all_tasks() == before
    assert not caplog.records


async def test_a_task_whose_cancellation_a_library_swallows_is_cancelled_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(service, "CANCEL_AGAIN_SECONDS", 0.001)
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while swallowed < 2:
            try:
                await forever()
            except asyncio.CancelledError:
                swallowed += 1
        await forever()

    async def stop() -> None:
        await asyncio.sleep(0)

    await asyncio.wait_for(
        supervise({"stop": stop()}, {"stubborn": stubborn()}, may_end=lambda: True), 30
    )
    assert swallowed == 2
    assert {record.getMessage() for record in caplog.records} == {"A cancelled task still runs"}


class Swallowing:
    """Work that goes on after its first cancellation, as where a library swallows that."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.swallowed = asyncio.Event()

    async def run(self) -> None:
        self.started.set()
        try:
            await forever()
        except asyncio.CancelledError:
            self.swallowed.set()
        await forever()


async def test_a_second_cancellation_of_the_whole_reaches_a_task_that_swallowed_the_first():
    before = asyncio.all_tasks()
    work = Swallowing()
    whole = asyncio.create_task(supervise({"outer": supervise({"inner": work.run()})}))
    await work.started.wait()
    whole.cancel()
    await work.swallowed.wait()
    whole.cancel()
    with pytest.raises(asyncio.CancelledError):
        await whole
    assert asyncio.all_tasks() == before  # once the inner one went on


async def test_a_failure_is_not_lost_where_the_whole_is_cancelled_behind_it():
    before = asyncio.all_tasks()
    work = Swallowing()
    whole = asyncio.create_task(supervise({"mqtt": failing(), "flush": work.run()}))
    await work.swallowed.wait()
    whole.cancel()
    with pytest.raises(OSError, match="disk full"):
        await whole
    assert asyncio.all_tasks() == before


async def test_whose_cancellation_it_is():
    answers: list[bool] = []

    async def ask(work: asyncio.Future[None]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            answers.append(is_being_cancelled())

    inner = asyncio.get_running_loop().create_future()
    asking = asyncio.create_task(ask(inner))
    await asyncio.sleep(0)
    inner.cancel()
    await asking
    asking = asyncio.create_task(ask(asyncio.get_running_loop().create_future()))
    await asyncio.sleep(0)
    asking.cancel()
    await asking
    assert answers == [False, True]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_is_told_of_a_signal_and_returns_what_it_finishes_with(number: signal.Signals):
    async def serve(stop: asyncio.Event) -> str:
        signal.raise_signal(number)
        await stop.wait()
        return "finished"

    before = signal.getsignal(number)
    try:
        assert service.run_service(serve) == "finished"
    finally:
        signal.signal(number, before)


def test_settings_and_what_is_found_wrong_later_end_a_program_in_the_same_way(
    monkeypatch: pytest.MonkeyPatch,
):
    levels: list[str] = []
    monkeypatch.setattr(logs, "setup", lambda _, level: levels.append(level))
    monkeypatch.setattr(os, "environ", {"SENSORPIPE_LOG_LEVEL": "DEBUG"})

    def read(variables: Mapping[str, str]) -> SimpleNamespace:
        return SimpleNamespace(log_level=variables["SENSORPIPE_LOG_LEVEL"])

    with (
        pytest.raises(SystemExit, match="sensorpipe-test: SENSORPIPE_HTTP: the port is taken"),
        service.configured("sensorpipe-test", read),
    ):
        raise SettingsError(["SENSORPIPE_HTTP: the port is taken"])
    assert levels == ["DEBUG"]
