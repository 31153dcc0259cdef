"""The work queue: every Sensor added is processed, and none by two workers at once."""

import asyncio
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_operator.cache import Cache, EventSink
from sensorpipe_operator.names import Body, Key, Kind
from sensorpipe_operator.workqueue import WorkQueue
from support.kube.operator_parts import replace_all, sensor_body
from support.waiting import eventually

A: Key = ("n", "a")
B: Key = ("n", "b")


async def test_a_sensor_added_often_is_processed_once() -> None:
    queue, seen = WorkQueue(), []
    for key in (A, B, A, A):
        queue.add(key)

    async def do(key: Key) -> bool:
        seen.append(key)
        return True

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(queue.run_worker(do))
        await eventually(lambda: len(seen) == 2)
        assert len(queue) == 0
        task.cancel()
    assert seen == [A, B]


async def test_a_sensor_added_while_processed_is_processed_again() -> None:
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
        workers = [tasks.create_task(queue.run_worker(do)) for _ in range(3)]
        await eventually(lambda: seen.total() == 4)
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
        worker = tasks.create_task(queue.run_worker(do))
        await eventually(lambda: attempts == 2)
        worker.cancel()


def body(name: str, version: int) -> Body:
    made = sensor_body()
    made["metadata"] |= {"name": name, "namespace": "n", "resourceVersion": str(version)}
    return made


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=20), st.randoms())
def test_the_cache_ends_with_the_newest_whatever_the_order(changes, random) -> None:
    events: list[dict[str, Any]] = [
        {"type": "DELETED" if gone else "MODIFIED", "object": body(name, version)}
        for version, (name, gone) in enumerate(changes, 1)
    ]
    expected = {e["object"]["metadata"]["name"]: e for e in events}
    cache = Cache()
    sink = EventSink(cache, WorkQueue())
    # kopf passes the events of one object in order; what was written here may come before
    for event in events:
        if event["type"] != "DELETED" and random.random() < 0.3:
            cache.put(Kind.SENSOR, event["object"])
        sink.on_event(Kind.SENSOR, event)
    for name, event in expected.items():
        held = cache.version(("n", name))
        wanted = int(event["object"]["metadata"]["resourceVersion"])
        assert held == (None if event["type"] == "DELETED" else wanted)


def test_a_list_reports_what_no_watch_did() -> None:
    cache = Cache()
    cache.put(Kind.SENSOR, body("a", 1))
    cache.put(Kind.SENSOR, body("b", 2))
    assert replace_all(cache, Kind.SENSOR, [body("a", 1), body("c", 5)], 5) == {
        ("n", "b"),
        ("n", "c"),
    }
    assert replace_all(cache, Kind.SENSOR, [body("a", 1), body("c", 4)], 6) == set()
    assert len(cache.sensors()) == 2


def test_what_came_after_a_list_is_not_forgotten_for_it() -> None:
    cache = Cache()
    cache.put(Kind.SENSOR, body("a", 9))
    assert replace_all(cache, Kind.SENSOR, [], 8) == set()
    assert replace_all(cache, Kind.SENSOR, [], 9) == {("n", "a")}


async def test_work_that_waits_while_no_worker_moves_is_no_progress() -> None:
    now = 0.0
    queue = WorkQueue(clock=lambda: now)
    stuck, free = asyncio.Event(), asyncio.Event()

    async def do(key: Key) -> bool:
        if key == A:
            stuck.set()
            await free.wait()
        return key == A

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(queue.run_worker(do))
        queue.add(A)
        await stuck.wait()
        now = 1_000.0
        assert queue.progress.is_made()  # nothing waits
        queue.add(B)
        assert queue.progress.is_made()
        now += 60
        assert not queue.progress.is_made()
        free.set()
        await eventually(lambda: not queue._waiting)
        assert queue.progress.is_made()
        task.cancel()


async def test_work_that_fails_and_is_tried_again_is_progress() -> None:
    now = 0.0
    queue = WorkQueue(clock=lambda: now)
    tried: list[Key] = []

    async def do(key: Key) -> bool:
        nonlocal now
        now += 50  # a cluster that answers nobody
        tried.append(key)
        assert queue.progress.is_made()
        return False

    for number in range(10):
        queue.add(("n", str(number)))
    queue.progress.look()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(queue.run_worker(do))
        await eventually(lambda: len(tried) >= 10)
        assert queue.progress.is_made()
        task.cancel()
    for timer in queue._timers.values():
        timer.cancel()
