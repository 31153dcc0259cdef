"""The work queue: every Sensor that changed is looked at, and none twice at once."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from operator_parts import sensor_body
from sensorpipe_operator.mirror import Mirror
from sensorpipe_operator.names import Body, Key
from sensorpipe_operator.watching import Watching
from sensorpipe_operator.work import WorkQueue

A: Key = ("n", "a")
B: Key = ("n", "b")


async def until(reached: Callable[[], bool]) -> None:
    """Let the others run until something is so."""
    async with asyncio.timeout(10):
        while not reached():  # noqa: ASYNC110  it is for others to change
            await asyncio.sleep(0.001)


async def test_a_sensor_named_often_is_looked_at_once() -> None:
    queue, seen = WorkQueue(), []
    for key in (A, B, A, A):
        queue.add(key)

    async def do(key: Key) -> bool:
        seen.append(key)
        return True

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(queue.work(do))
        await until(lambda: len(seen) == 2)
        assert len(queue) == 0
        task.cancel()
    assert seen == [A, B]


async def test_a_change_during_the_work_is_looked_at_afterwards() -> None:
    queue, busy, seen = WorkQueue(), Counter[Key](), Counter[Key]()

    async def do(key: Key) -> bool:
        busy[key] += 1
        assert busy[key] == 1, "two workers have the same Sensor"
        if not seen[key]:
            queue.add(key)
        await asyncio.sleep(0)
        seen[key] += 1
        busy[key] -= 1
        return True

    queue.add(A)
    queue.add(B)
    async with asyncio.TaskGroup() as tasks:
        workers = [tasks.create_task(queue.work(do)) for _ in range(3)]
        await until(lambda: seen.total() == 4)
        for worker in workers:
            worker.cancel()
    assert seen == {A: 2, B: 2}


async def test_what_failed_is_tried_again_by_itself() -> None:
    queue, attempts = WorkQueue(), 0

    async def do(_: Key) -> bool:
        nonlocal attempts
        attempts += 1
        return attempts == 2

    queue.add(A)
    async with asyncio.TaskGroup() as tasks:
        worker = tasks.create_task(queue.work(do))
        await until(lambda: attempts == 2)
        worker.cancel()


def body(name: str, version: int) -> Body:
    made = sensor_body()
    made["metadata"] |= {"name": name, "namespace": "n", "resourceVersion": str(version)}
    return made


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=20), st.randoms())
def test_the_mirror_ends_with_the_newest_whatever_the_order(changes, random) -> None:
    events: list[dict[str, Any]] = [
        {"type": "DELETED" if gone else "MODIFIED", "object": body(name, version)}
        for version, (name, gone) in enumerate(changes, 1)
    ]
    expected = {e["object"]["metadata"]["name"]: e for e in events}
    mirror = Mirror()
    watching = Watching(mirror, WorkQueue())
    # kopf tells the events of one object in order; what was written here may come before
    for event in events:
        if event["type"] != "DELETED" and random.random() < 0.3:
            mirror.put("Sensor", event["object"])
        watching.heard("Sensor", event)
    for name, event in expected.items():
        held = mirror.version(("n", name))
        wanted = int(event["object"]["metadata"]["resourceVersion"])
        assert held == (None if event["type"] == "DELETED" else wanted)


def test_a_list_tells_what_no_watch_did() -> None:
    mirror = Mirror()
    mirror.put("Sensor", body("a", 1))
    mirror.put("Sensor", body("b", 2))
    assert mirror.replace("Sensor", [body("a", 1), body("c", 5)], 5) == {("n", "b"), ("n", "c")}
    assert mirror.replace("Sensor", [body("a", 1), body("c", 4)], 6) == set()
    assert mirror.count("Sensor") == 2


def test_what_came_after_a_list_is_not_forgotten_for_it() -> None:
    mirror = Mirror()
    mirror.put("Sensor", body("a", 9))
    assert mirror.replace("Sensor", [], 8) == set()
    assert mirror.replace("Sensor", [], 9) == {("n", "a")}
