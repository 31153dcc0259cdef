"""The operator's probes: an API server that is away is no reason to restart, deafness is."""

from operator_parts import KEY, sensor_body
from sensorpipe_operator.cluster import ClusterError
from sensorpipe_operator.health import DEAF_AFTER_SECONDS, Health
from sensorpipe_operator.mirror import Mirror
from sensorpipe_operator.names import Body


class Api:
    """Answers with a Sensor at some version, or not at all."""

    def __init__(self) -> None:
        self.version = 1
        self.away = False

    async def first_sensor(self, namespace: str | None) -> Body | None:
        assert namespace is None
        if self.away:
            raise ClusterError(0, "Unreachable", "no answer")
        body = sensor_body()
        body["metadata"]["resourceVersion"] = str(self.version)
        return body


class Probed:
    def __init__(self) -> None:
        self.api, self.mirror, self.now = Api(), Mirror(), 0.0
        self.mirror.put("Sensor", sensor_body())
        self.health = Health(self.api, self.mirror, (), clock=lambda: self.now)


async def test_an_api_server_that_is_away_makes_it_unready_but_not_dead() -> None:
    it = Probed()
    assert await it.health.reaches()
    it.api.away = True
    assert not await it.health.reaches()
    it.now += 10 * DEAF_AFTER_SECONDS
    assert await it.health.hears()


async def test_what_the_watch_never_told_makes_it_dead() -> None:
    it = Probed()
    it.api.version = 7
    assert await it.health.hears()  # it may yet be told
    it.now += DEAF_AFTER_SECONDS + 1
    assert not await it.health.hears()


async def test_what_is_told_late_keeps_it_alive() -> None:
    it = Probed()
    it.api.version = 7
    assert await it.health.hears()
    it.now += DEAF_AFTER_SECONDS + 1
    body = sensor_body()
    body["metadata"]["resourceVersion"] = "7"
    it.mirror.put("Sensor", body)
    assert it.mirror.version(KEY) == 7
    assert await it.health.hears()
