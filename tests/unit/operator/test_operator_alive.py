"""The operator's liveness: waiting work that does not move is reported, whatever the watches do."""

import asyncio

from sensorpipe_operator import __main__ as program
from sensorpipe_operator.health import Health
from sensorpipe_operator.workqueue import WorkQueue


class Current(Health):
    """Its cache is always current."""

    def __init__(self) -> None:
        """Need no API server."""

    def alive(self) -> bool:
        return True


async def test_an_operator_whose_workers_hang_is_not_alive() -> None:
    now = 0.0
    queue, health = WorkQueue(clock=lambda: now), Current()
    assert program._alive(queue, health, lambda: True) is True
    queue.add(("plant", "boiler"))
    assert program._alive(queue, health, lambda: True) is True
    now = 60.0
    said = await asyncio.to_thread(program._alive, queue, health, lambda: True)
    assert said == "Sensors are waiting, but no reconciliation started or ended for a minute"
