"""Work ends with the request to stop, and a signal is such a request."""

import asyncio
import os
import signal

import pytest
from sensorpipe_runtime.aio import cancel_on, ended_or_stopped, first_of, stop_on_signals


async def forever() -> None:
    await asyncio.Event().wait()


async def test_the_result_of_work_that_ends_first_is_returned() -> None:
    async def answer() -> int:
        return 42

    assert await cancel_on(asyncio.Event(), answer()) == 42


async def test_work_is_cancelled_once_stop_is_set() -> None:
    async def answer() -> int:
        await forever()
        return 42

    before, stop = asyncio.all_tasks(), asyncio.Event()
    asyncio.get_running_loop().call_soon(stop.set)
    assert await cancel_on(stop, answer()) is None
    assert asyncio.all_tasks() == before


async def test_what_work_raises_is_raised() -> None:
    async def fail() -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await cancel_on(asyncio.Event(), fail())


async def test_a_task_goes_on_after_the_request_to_stop() -> None:
    stop, task = asyncio.Event(), asyncio.create_task(forever())
    asyncio.get_running_loop().call_soon(stop.set)
    assert not await ended_or_stopped(task, stop)
    assert not task.done()
    task.cancel()
    assert await ended_or_stopped(task, asyncio.Event())


async def test_being_cancelled_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    waiting = asyncio.create_task(cancel_on(asyncio.Event(), forever()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert asyncio.all_tasks() == before


async def test_the_first_to_finish_is_reported_by_its_position_and_the_others_are_cancelled() -> (
    None
):
    before = asyncio.all_tasks()
    assert await first_of(forever(), asyncio.sleep(0), forever()) == 1
    assert await first_of(asyncio.sleep(0), asyncio.sleep(0)) == 0
    assert asyncio.all_tasks() == before


async def test_what_the_first_to_finish_raises_is_raised() -> None:
    async def fail() -> None:
        raise OSError("disk full")

    before = asyncio.all_tasks()
    with pytest.raises(OSError, match="disk full"):
        await first_of(forever(), fail())
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_sets_stop(number: signal.Signals) -> None:
    old, stop = signal.getsignal(number), asyncio.Event()
    other = asyncio.Event()
    try:
        stop_on_signals(other)
        stop_on_signals(stop)
        os.kill(os.getpid(), number)
        async with asyncio.timeout(10):
            await stop.wait()
        assert not other.is_set()
    finally:
        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(each)
        signal.signal(number, old)
