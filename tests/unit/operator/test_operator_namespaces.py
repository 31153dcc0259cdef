"""One of several namespaces without access stops nothing in the others."""

import asyncio
from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any

import pytest
from kopf._cogs.structs.references import Insights
from sensorpipe_operator.cache import Cache, EventSink, Namespaces
from sensorpipe_operator.health import Health
from sensorpipe_operator.kube_api import ApiError
from sensorpipe_operator.names import Body, Kind
from sensorpipe_operator.watch import resync, run_kopf
from sensorpipe_operator.workqueue import WorkQueue
from support.kube.fake_kopf import replace_kopf
from support.kube.operator_parts import KEY, replace_all, sensor_body

BOTH = ("plant", "yard")


class Api:
    """Has a Sensor in each namespace; some refuse."""

    def __init__(self, *refusing: str, status: int = 403) -> None:
        self.refusing = set(refusing)
        self.status = status

    async def pages(
        self, kind: Kind, namespace: str | None
    ) -> AsyncIterator[tuple[list[Body], int]]:
        if namespace in self.refusing:
            raise ApiError(self.status, "Forbidden", "sensors is forbidden")
        body = deepcopy(sensor_body())
        body["metadata"]["namespace"] = namespace
        yield ([body] if kind is Kind.SENSOR else []), 7

    async def find_sensor(self, namespace: str, name: str) -> Body | None:
        return None if namespace else sensor_body(name=name)

    async def first_sensor(self, namespace: str | None) -> Body | None:
        return None if namespace else sensor_body()


async def test_the_others_are_listed_and_the_probe_names_the_one() -> None:
    api, cache, namespaces = Api(), Cache(), Namespaces(BOTH)
    health = Health(api, cache, namespaces, silence=lambda: 0)
    assert await resync.refresh(api, cache, WorkQueue(), namespaces) == 2
    api.refusing.add("yard")
    await resync.refresh(api, cache, WorkQueue(), namespaces)
    assert cache.sensors() == [KEY]  # nothing is cached of what cannot be read
    assert (namespaces.accessible, namespaces.refused) == (("plant",), ("yard",))
    assert health.ready() == "no access to these namespaces: yard"


async def test_a_list_of_one_namespace_says_nothing_of_another() -> None:
    cache, namespaces = Cache(), Namespaces(BOTH)
    await resync.refresh(Api(), cache, WorkQueue(), namespaces)
    replace_all(cache, Kind.SENSOR, [], 8, "yard")
    assert cache.sensors() == [KEY]
    replace_all(cache, Kind.SENSOR, [], 8)
    assert cache.sensors() == []


@pytest.mark.parametrize("status", [0, 401, 500])
async def test_any_other_failure_is_not_the_namespaces(status: int) -> None:
    namespaces = Namespaces(BOTH)
    with pytest.raises(ApiError):
        await resync.refresh(Api("yard", status=status), Cache(), WorkQueue(), namespaces)
    assert namespaces.refused == ()


async def test_an_operator_of_the_whole_cluster_needs_the_right_to_it() -> None:
    class Nowhere(Api):
        async def pages(
            self, kind: Kind, namespace: str | None
        ) -> AsyncIterator[tuple[list[Body], int]]:
            if namespace is None:
                raise ApiError(403, "Forbidden", f"{kind} is forbidden")
            yield [], 0

    with pytest.raises(ApiError):
        await resync.refresh(Nowhere(), Cache(), WorkQueue(), Namespaces(()))


async def test_the_one_is_asked_again_until_it_admits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resync, "_RETRY_SECONDS", 0)
    api, cache, queue, namespaces = Api("yard"), Cache(), WorkQueue(), Namespaces(BOTH)
    await resync.refresh(api, cache, queue, namespaces)
    namespaces.changed.clear()
    asking = asyncio.create_task(resync.retry_refused(api, cache, queue, namespaces))
    api.refusing.clear()
    async with asyncio.timeout(10):
        await namespaces.changed.wait()
    asking.cancel()
    assert namespaces.accessible == BOTH
    assert set(cache.sensors()) == {KEY, ("yard", "boiler")}


async def test_the_watches_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    namespaces, seen = Namespaces(BOTH), []
    namespaces.mark_refused("yard", "forbidden")
    namespaces.changed.clear()

    async def operator(insights: Insights, stop_flag: asyncio.Event, **given: Any) -> None:
        seen.append(set(given["namespaces"]))
        insights.namespaces.update(given["namespaces"])
        for change in (
            lambda: namespaces.mark_accessible("yard"),
            lambda: namespaces.mark_refused("plant", ""),
        ):
            async with insights.revised:
                given["ready_flag"].set()
                insights.ready_resources.set()
                insights.ready_namespaces.set()
                change()
                await insights.revised.wait()
                seen.append(set(insights.namespaces))
        stop_flag.set()

    async def list_first() -> None:
        await asyncio.sleep(0)

    replace_kopf(monkeypatch, operator)
    monkeypatch.setattr(run_kopf, "_WATCHED", frozenset())
    async with asyncio.timeout(20):
        await run_kopf.run_kopf(
            EventSink(Cache(), WorkQueue()), namespaces, list_first, asyncio.Event()
        )
    assert seen == [{"plant"}, {"plant", "yard"}, {"yard"}]
