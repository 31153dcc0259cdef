"""Prometheus sees the latest complete window of each sensor, and none of a silent one."""

from contextlib import asynccontextmanager

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sensorpipe_schema.partial import encode
from sensorpipe_server.api.sensor_metrics import SensorMetrics
from sensorpipe_server.storage.reads import latest
from sensorpipe_server.storage.source_seqs import Settling
from starlette.applications import Starlette
from starlette.routing import Route
from support.server_parts import T0, one, partial, store, summary

pytest_plugins = ["support.server_fixtures"]


class Clock:
    """Tells a time that the test sets, in seconds after T0."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return T0 / 1000 + self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def scrape(db, clock):
    async with scraping(db, clock) as scrape:
        yield scrape


@asynccontextmanager
async def scraping(db, clock):
    metrics = SensorMetrics(db, Settling(lateness_ms=2_000), clock)
    app = Starlette(routes=[Route("/metrics/sensors", metrics.answer)])
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://server"
    ) as client:

        async def scrape(name="average"):
            answer = await client.get("/metrics/sensors")
            assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
            return {
                tuple(sample.labels.values()): sample.value
                for family in text_string_to_metric_families(answer.text)
                if family.name == f"sensorpipe_sensor_{name}"
                for sample in family.samples
            }

        yield scrape


async def test_the_values_are_those_of_the_latest_complete_window(db, scrape, clock):
    await store(
        db,
        one([(1, 1.0), (2, 3.0), (3, 8.0)]),
        one([(4, 50.0)], window=1, number=2),
        one([(1, 7.0)], facility="facility_2", sensor="humidity"),
    )
    clock.seconds = 21.9  # the second window is complete at 22 s
    assert await scrape("average") == {
        ("facility_1", "temperature"): 4.0, ("facility_2", "humidity"): 7.0
    }  # fmt: skip
    assert (await scrape("minimum"))["facility_1", "temperature"] == 1.0
    assert (await scrape("maximum"))["facility_1", "temperature"] == 8.0
    assert (await scrape("readings"))["facility_1", "temperature"] == 3
    ends = await scrape("window_end_timestamp_seconds")
    assert ends["facility_1", "temperature"] == T0 / 1000 + 10
    clock.seconds = 22.0
    assert (await scrape())["facility_1", "temperature"] == 50.0
    ends = await scrape("window_end_timestamp_seconds")
    assert ends["facility_1", "temperature"] == T0 / 1000 + 20


async def test_a_late_reading_of_the_latest_window_is_seen(db, scrape, clock):
    clock.seconds = 15
    await store(db, one([(1, 1.0)]))
    assert await scrape() == {("facility_1", "temperature"): 1.0}
    await store(db, one([(2, 3.0)], number=2))
    assert await scrape() == {("facility_1", "temperature"): 2.0}


async def test_a_sensor_slower_than_the_windows_stays_until_it_is_silent(db, scrape, clock):
    clock.seconds = 15
    both = {"fast": summary([(1, 1.0)]), "slow": summary([(1, 2.0)])}
    await store(db, encode(partial(both)))
    for window in range(1, 30):
        await store(db, one([(window, 3.0)], sensor="fast", window=window, number=window + 1))
        clock.seconds = 10 * window + 15
        await scrape()
    assert set(await scrape()) == {("facility_1", "fast"), ("facility_1", "slow")}
    clock.seconds = 309.9
    assert set(await scrape()) == {("facility_1", "fast"), ("facility_1", "slow")}
    clock.seconds = 310
    assert set(await scrape()) == {("facility_1", "fast")}


async def test_what_came_before_the_first_scrape_is_seen_for_as_long(db, clock):
    both = {"fast": summary([(1, 1.0)]), "slow": summary([(1, 2.0)])}
    await store(db, encode(partial(both)), one([(2, 1.0)], sensor="fast", window=29, number=2))
    clock.seconds = 309
    async with scraping(db, clock) as scrape:
        assert set(await scrape()) == {("facility_1", "fast"), ("facility_1", "slow")}


async def test_a_silent_facility_is_left_out_until_it_sends_again(db, scrape, clock):
    await store(db, one([(1, 1.0)]))
    clock.seconds = 309.9
    assert set(await scrape()) == {("facility_1", "temperature")}
    clock.seconds = 310
    assert await scrape() == {}
    await store(db, one([(2, 5.0)], window=31, number=2))
    clock.seconds = 330
    assert await scrape() == {("facility_1", "temperature"): 5.0}


@pytest.mark.parametrize(
    ("most", "expected"),
    [(6, (6, 0)), (5, (5, 1)), (4, (4, 1)), (3, (3, 2)), (1, (1, 3))],
)
async def test_beyond_the_limit_facilities_are_left_out_and_counted(
    db, clock, monkeypatch, most, expected
):
    included, left_out = expected
    monkeypatch.setattr(latest, "MAX_SERIES", most)
    monkeypatch.setattr(latest, "_TOGETHER", 2)
    two = {"a": summary([(1, 1.0)]), "b": summary([(1, 2.0)])}
    await store(
        db, *(encode(partial(two, facility=f"facility_{number}")) for number in (3, 1, 2))
    )  # fmt: skip
    clock.seconds = 15
    async with scraping(db, clock) as scrape:
        for _ in range(2):
            found = await scrape()
            assert list(found) == [
                (f"facility_{number}", name) for number in (1, 2, 3) for name in "ab"
            ][:included]  # fmt: skip
            assert await scrape("facilities_left_out") == {(): left_out}


async def test_the_api_serves_it(client):
    answer = await client.get("/metrics/sensors")
    assert answer.status_code == 200
    assert "sensorpipe_sensor_facilities_left_out 0" in answer.text
    assert (await client.get("/metrics/sensors?x=1")).status_code == 400
