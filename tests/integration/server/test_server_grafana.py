"""The chart's dashboard of sensors, asked for as Grafana and its data source Infinity ask."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sensorpipe_schema.partial import encode
from support.infinity import Infinity, TimeRange
from support.server_parts import T0, partial, store, summary
from support.services import ROOT

pytest_plugins = ["support.server_fixtures"]

DASHBOARD = json.loads((ROOT / "charts/sensorpipe/files/sensor-dashboard.json").read_text())
START = datetime.fromtimestamp(T0 / 1000, UTC)
CHOSEN = {"facility": ["hall_1"], "sensor": ["humidity", "temperature"]}


@pytest.fixture
async def infinity(db, client):
    """The data source of a server with three windows of hall_1, the second without humidity."""
    await store(
        db,
        *(
            encode(partial(sensors, facility=facility, window=window, number=number))
            for number, (facility, window, sensors) in enumerate(
                [
                    ("hall_1", 0, {"temperature": summary([(1, 20.0), (2, 22.0)]),
                                   "humidity": summary([(1, 50.0)])}),
                    ("hall_1", 1, {"temperature": summary([(3, 21.5)])}),
                    ("hall_1", 2, {"temperature": summary([(4, 23.0), (6, 24.0), (5, 19.0)]),
                                   "humidity": summary([(2, 52.0)])}),
                    ("hall_2", 0, {"pressure": summary([(1, 1000.0)])}),
                ],
                1,
            )
        ),
    )  # fmt: skip
    return Infinity(client, TimeRange(START, START + timedelta(minutes=5)))


def panel(title):
    (found,) = (each for each in DASHBOARD["panels"] if each["title"] == title)
    (target,) = found["targets"]
    return target


def variable(name):
    (found,) = (each for each in DASHBOARD["templating"]["list"] if each["name"] == name)
    return found["query"]["infinityQuery"]


def at(window):
    return START + timedelta(seconds=10 * window)


async def test_the_variables_offer_facilities_and_their_sensors(infinity):
    (facilities,) = await infinity.frame(variable("facility"), {})
    assert (facilities.type, facilities.values) == ("string", ["hall_1", "hall_2"])
    (sensors,) = await infinity.frame(variable("sensor"), CHOSEN)
    assert set(sensors.values) == {"humidity", "temperature"}


async def test_a_sensor_has_its_average_and_band(infinity):
    fields = await infinity.frame(panel("$sensor"), CHOSEN | {"sensor": ["temperature"]})
    assert {each.name: (each.type, each.values) for each in fields} == {
        "time": ("timestamp", [at(0), at(1), at(2)]),
        "avg": ("number", [21.0, 21.5, 22.0]),
        "min": ("number", [20.0, 21.5, 19.0]),
        "max": ("number", [22.0, 21.5, 24.0]),
    }


async def test_each_sensor_has_its_readings_with_gaps(infinity):
    time, *counts = await infinity.frame(panel("Readings of each step"), CHOSEN)
    assert time.values == [at(0), at(1), at(2)]
    assert [(each.name, each.labels, each.values) for each in counts] == [
        ("count", {"sensor": "humidity"}, [1, None, 1]),
        ("count", {"sensor": "temperature"}, [2, 1, 3]),
    ]


async def test_steps_are_complete_or_not(infinity):
    fields = await infinity.frame(panel("Complete"), CHOSEN)
    assert {each.name: (each.type, each.values) for each in fields} == {
        "time": ("timestamp", [at(0), at(0), at(1), at(2), at(2)]),
        "sensor": ("string", ["humidity", *["temperature"] * 2, "humidity", "temperature"]),
        "complete": ("boolean", [True] * 5),
    }


async def test_integrity_is_that_of_the_chosen_facility(db, infinity):
    more = partial({"temperature": summary([(9, 1.0)])}, facility="hall_1", window=9, number=9)
    await store(db, encode(more))
    fields = await infinity.frame(panel("Integrity of $facility"), CHOSEN)
    assert {each.type for each in fields} == {"number"}
    found = {each.name: each.values for each in fields}
    assert found["Readings"] == [9]
    assert found["Lost"] == [2]
    assert found["Duplicates"] == [0]
    assert found["Sources"] == [2]
    assert found["Dead letters"] == [None]  # unknown: this server has no Kafka
    assert set(found) == {
        "Lost", "Duplicates", "Pending", "Readings", "Sources", "Dead letters", "Refused", "Fenced"
    }  # fmt: skip


async def test_a_long_range_has_long_steps_in_one_request(db, infinity):
    older = partial({"temperature": summary([(1, 5.0)], "old")}, facility="hall_1", window=-86_400)
    await store(db, encode(older))
    long = Infinity(infinity.client, TimeRange(START - timedelta(days=20), at(6)))
    fields = await long.frame(panel("$sensor"), CHOSEN | {"sensor": ["temperature"]})
    found = {each.name: each.values for each in fields}
    assert found["time"] == [START - timedelta(days=10), START]
    assert found["avg"] == [5.0, pytest.approx((20 + 22 + 21.5 + 23 + 24 + 19) / 6)]
    assert (found["min"], found["max"]) == ([5.0, 19.0], [5.0, 24.0])


async def test_a_range_without_data_is_an_empty_frame(infinity):
    before = Infinity(infinity.client, TimeRange(START - timedelta(days=2), START))
    for title in ("$sensor", "Readings of each step", "Complete"):
        query, chosen = panel(title), CHOSEN | {"sensor": ["temperature"]}
        assert {len(each.values) for each in await before.frame(query, chosen)} == {0}


async def test_csv_gives_the_same_frame(infinity):
    query = panel("$sensor")
    chosen = CHOSEN | {"sensor": ["temperature"]}
    as_csv = await infinity.frame({**query, "type": "csv"}, chosen)
    assert as_csv == await infinity.frame(query, chosen)


async def test_a_wrong_query_says_what_is_wrong(infinity):
    with pytest.raises(AssertionError, match="At least one valid sensor name"):
        await infinity.frame(panel("$sensor"), CHOSEN)  # {humidity,temperature}, as glob


def test_every_panel_asks_the_data_source_that_is_chosen():
    queries = [
        *(each for panel in DASHBOARD["panels"] for each in panel.get("targets", ())),
        *(variable(name) for name in ("facility", "sensor")),
    ]
    assert len(queries) == 6
    for query in queries:
        assert query["datasource"]["uid"] == "${datasource}"
        assert query["url"].startswith("/api/")
