"""The operator's probes: an API server that is away is no reason to restart, deafness is."""

import asyncio
from copy import deepcopy

import pytest
from operator_parts import KEY, sensor_body
from sensorpipe_operator import health
from sensorpipe_operator.cluster import ClusterError
from sensorpipe_operator.health import DEAF_AFTER_SECONDS, Health
from sensorpipe_operator.mirror import Mirror
from sensorpipe_operator.names import Body

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

    async def find_sensor(self, namespace: str, name: str) -> Body | None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.away:
            raise ClusterError(0, "Unreachable", "no answer")
        return deepcopy(self.sensors.get((namespace, name)))

    async def first_sensor(self, namespace: str | None) -> Body | None:
        assert namespace is None
        if self.away:
            raise ClusterError(0, "Unreachable", "no answer")
        return next(iter(self.sensors.values()), None)


class Probed:
    def __init__(self) -> None:
        self.api, self.mirror, self.now, self.chosen = Api(), Mirror(), 0.0, KEY
        for made in self.api.sensors.values():
            self.mirror.put("Sensor", made)
        self.health = Health(
            self.api,
            self.mirror,
            (),
            silence=lambda: self.now,
            clock=lambda: self.now,
            choose=lambda keys: next(key for key in keys if key == self.chosen),
        )

    async def later(self) -> bool:
        self.now += DEAF_AFTER_SECONDS + 1
        return await self.health.hears()


async def test_an_api_server_that_is_away_makes_it_unready_but_not_dead() -> None:
    it = Probed()
    assert await it.health.reaches()
    it.api.away = True
    assert not await it.health.reaches()
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
    assert health._API_SECONDS < health._ANSWER_SECONDS


async def test_what_the_watch_never_told_makes_it_dead() -> None:
    it = Probed()
    it.api.sensors[KEY] = body("boiler", 7)
    assert await it.health.hears()  # it may yet be told
    it.chosen = OTHER  # whose state is known; the other one is not forgotten for it
    assert not await it.later()


async def test_what_is_told_late_keeps_it_alive() -> None:
    it = Probed()
    it.api.sensors[KEY] = body("boiler", 7)
    assert await it.health.hears()
    it.mirror.put("Sensor", body("boiler", 7))
    assert await it.later()
    assert await it.later()


async def test_a_deletion_that_the_watch_never_told_makes_it_dead() -> None:
    it = Probed()
    del it.api.sensors[KEY]
    assert await it.health.hears()
    assert not await it.later()


async def test_a_first_sensor_that_the_watch_never_told_makes_it_dead() -> None:
    it = Probed()
    for made in it.api.sensors.values():
        it.mirror.drop("Sensor", made)
    assert await it.health.hears()
    assert not await it.later()


async def test_a_cluster_without_sensors_is_no_sign_of_anything() -> None:
    it = Probed()
    for made in it.api.sensors.values():
        it.mirror.drop("Sensor", made)
    it.api.sensors.clear()
    assert await it.health.hears()
    assert await it.later()
