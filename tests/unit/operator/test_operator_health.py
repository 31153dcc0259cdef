"""The operator's probes: an API server that is away is no reason to restart, a stale cache is."""

import asyncio
from copy import deepcopy

import pytest
from sensorpipe_operator import health
from sensorpipe_operator.cache import Cache, Namespaces
from sensorpipe_operator.health import STALE_AFTER_SECONDS, Health
from sensorpipe_operator.kube_api import ApiError
from sensorpipe_operator.names import Body, Kind
from support.kube.operator_parts import KEY, sensor_body

OTHER = ("plant", "annex")


def body(name: str, version: int) -> Body:
    made = sensor_body()
    made["metadata"] |= {"name": name, "resourceVersion": str(version)}
    return made


class Api:
    """Answers with the Sensors it has, or not at all."""

    def __init__(self) -> None:
        self.sensors = {key: body(key[1], 1) for key in (KEY, OTHER)}
        self.away = False
        self.hangs = False
        self.refusing = ""

    async def find_sensor(self, namespace: str, name: str) -> Body | None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.away:
            raise ApiError(0, "Unreachable", "no answer")
        if namespace == self.refusing:
            raise ApiError(403, "Forbidden", "sensors is forbidden")
        return deepcopy(self.sensors.get((namespace, name)))

    async def first_sensor(self, namespace: str | None) -> Body | None:
        assert namespace == "plant"
        if self.away:
            raise ApiError(0, "Unreachable", "no answer")
        return next(iter(self.sensors.values()), None)


class Probed:
    def __init__(self) -> None:
        self.api, self.cache, self.now, self.chosen = Api(), Cache(), 0.0, KEY
        self.namespaces = Namespaces(("plant", "yard"))
        for made in self.api.sensors.values():
            self.cache.put(Kind.SENSOR, made)
        self.health = Health(
            self.api,
            self.cache,
            self.namespaces,
            silence=lambda: self.now,
            clock=lambda: self.now,
            choose=lambda keys: next(key for key in keys if key == self.chosen),
        )

    async def later(self) -> bool:
        self.now += STALE_AFTER_SECONDS + 1
        return await self.health.cache_is_current()


async def test_an_api_server_that_is_away_makes_it_unready_but_not_dead() -> None:
    it = Probed()
    assert await it.health.api_server_responds()
    it.api.away = True
    assert not await it.health.api_server_responds()
    assert await it.later()


async def test_an_api_server_that_keeps_it_waiting_does_not_make_it_dead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health, "_API_SECONDS", 0.01)
    it = Probed()
    it.api.hangs = True
    async with asyncio.timeout(10):
        assert await it.later()


def test_a_probe_is_answered_although_the_api_server_keeps_it_waiting() -> None:
    assert health._API_SECONDS < health._PROBE_SECONDS


async def test_a_change_that_no_watch_reported_makes_it_dead() -> None:
    it = Probed()
    it.api.sensors[KEY] = body("boiler", 7)
    assert await it.health.cache_is_current()  # the event may still come
    it.chosen = OTHER  # whose state is known; the other one is not forgotten for it
    assert not await it.later()


async def test_a_change_reported_late_keeps_it_alive() -> None:
    it = Probed()
    it.api.sensors[KEY] = body("boiler", 7)
    assert await it.health.cache_is_current()
    it.cache.put(Kind.SENSOR, body("boiler", 7))
    assert await it.later()
    assert await it.later()


async def test_a_deletion_that_no_watch_reported_makes_it_dead() -> None:
    it = Probed()
    del it.api.sensors[KEY]
    assert await it.health.cache_is_current()
    assert not await it.later()


async def test_a_first_sensor_that_no_watch_reported_makes_it_dead() -> None:
    it = Probed()
    for made in it.api.sensors.values():
        it.cache.drop(Kind.SENSOR, made)
    assert await it.health.cache_is_current()
    assert not await it.later()


async def test_a_cluster_without_sensors_is_no_sign_of_anything() -> None:
    it = Probed()
    for made in it.api.sensors.values():
        it.cache.drop(Kind.SENSOR, made)
    it.api.sensors.clear()
    assert await it.health.cache_is_current()
    assert await it.later()


async def test_a_refused_namespace_does_not_hide_that_the_cache_is_stale() -> None:
    it = Probed()
    yard = ("yard", "boiler")
    there = body("boiler", 1)
    there["metadata"]["namespace"] = "yard"
    it.cache.put(Kind.SENSOR, there)
    it.chosen = yard  # which is gone, as is its namespace
    assert await it.health.cache_is_current()
    it.api.refusing = "yard"
    it.namespaces.mark_refused("yard", "sensors is forbidden")
    it.cache.drop_namespace("yard")
    it.chosen = KEY
    it.api.sensors[KEY] = body("boiler", 7)
    assert await it.health.cache_is_current()
    assert not await it.later()


async def test_what_was_behind_before_a_namespace_refused_counts_anew() -> None:
    it = Probed()
    it.api.sensors[KEY] = body("boiler", 7)
    assert await it.health.cache_is_current()
    it.namespaces.mark_refused("plant", "sensors is forbidden")
    it.api.refusing = "plant"
    assert await it.later()
    it.namespaces.mark_accessible("plant")
    it.api.refusing = ""
    assert await it.health.cache_is_current()
    assert not await it.later()
