"""No task of the operator ends unheard."""

import asyncio

import pytest
from sensorpipe_operator.lasting import EndedError, while_lasting


async def for_ever() -> None:
    await asyncio.Event().wait()


async def fail() -> None:
    raise KeyError("unforeseen")


async def test_the_others_end_with_the_work() -> None:
    tasks = [asyncio.create_task(for_ever()) for _ in range(2)]
    await while_lasting(asyncio.sleep(0), tasks)
    assert all(task.cancelled() for task in tasks)


async def test_the_works_own_error_is_raised() -> None:
    with pytest.raises(KeyError, match="unforeseen"):
        await while_lasting(fail(), [asyncio.create_task(for_ever())])


async def test_one_that_fails_ends_it_all() -> None:
    tasks = [asyncio.create_task(for_ever()), asyncio.create_task(fail(), name="worker 1")]
    with pytest.raises(EndedError, match="worker 1") as caught:
        await while_lasting(for_ever(), tasks)
    assert isinstance(caught.value.__cause__, KeyError)
    assert tasks[0].cancelled()


async def test_one_that_somebody_else_cancelled_ends_it_all() -> None:
    worker = asyncio.create_task(for_ever(), name="worker 0")
    asyncio.get_running_loop().call_soon(worker.cancel)
    with pytest.raises(EndedError, match="worker 0"):
        await while_lasting(for_ever(), [worker])
