"""How a series is asked for and written: forms, steps, patterns, limits, and clients that leave."""

import csv
import io
import json
from datetime import datetime

import httpx2
import pytest
from sensorpipe_server.api.routes import application
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.pace import Pace
from sensorpipe_server.storage.reads import series
from sensorpipe_server.storage.reads.facility_list import note
from sensorpipe_server.storage.rollups.rolling import Rolling
from support.server_parts import NOW, T0, one, store

pytest_plugins = ["support.server_fixtures"]

SPAN = f"from={T0}&to={T0 + 60_000}"
HALL = {"facility": "hall_1", "sensor": "temperature"}


@pytest.fixture
async def stored(db):
    """Windows 0, 1 and 3 after T0 of hall_1, and window 0 of hall_2-a, with one sensor each."""
    await store(
        db,
        one([(1, 1.0), (2, 3.0)], facility="hall_1", window=0),
        one([(3, 5.0)], facility="hall_1", window=1, number=2),
        one([(4, 7.5)], facility="hall_1", window=3, number=3),
        one([(1, -1.0)], facility="hall_2-a", window=0, sensor="humidity"),
    )


async def get(client, query, **headers):
    return await client.get(f"/api/series?{query}", headers=headers)


@pytest.mark.usefixtures("stored")
async def test_json_has_rows_of_whole_buckets_in_order_and_no_row_for_a_gap(client):
    answer = await get(client, f"{SPAN}&every=20s")
    assert answer.headers["content-type"] == "application/json"
    value = {"avg": 3.0, "min": 1.0, "max": 5.0, "count": 3, "complete": True}
    assert answer.json() == {
        "every": "20s",
        "from": "2024-11-14T16:00:00Z",
        "to": "2024-11-14T16:01:00Z",
        "units": {},
        "data": [
            {"time": "2024-11-14T16:00:00Z", **HALL, **value},
            {
                "time": "2024-11-14T16:00:00Z",
                "facility": "hall_2-a",
                "sensor": "humidity",
                "avg": -1.0,
                "min": -1.0,
                "max": -1.0,
                "count": 1,
                "complete": True,
            },
            {
                "time": "2024-11-14T16:00:20Z",
                **HALL,
                **dict.fromkeys(("avg", "min", "max"), 7.5),
                "count": 1,
                "complete": True,
            },
        ],
    }


@pytest.mark.usefixtures("stored")
async def test_csv_is_a_file_whose_headers_say_what_its_rows_are(client):
    answer = await get(client, f"{SPAN}&every=10s&facility=hall_1&format=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="series.csv"'
    assert answer.headers["sensorpipe-every"] == "10s"
    assert answer.headers["sensorpipe-from"] == "2024-11-14T16:00:00Z"
    assert answer.headers["sensorpipe-to"] == "2024-11-14T16:01:00Z"
    assert answer.content == (
        b"time,facility,sensor,avg,min,max,count,complete\r\n"
        b"2024-11-14T16:00:00Z,hall_1,temperature,2.0,1.0,3.0,2,true\r\n"
        b"2024-11-14T16:00:10Z,hall_1,temperature,5.0,5.0,5.0,1,true\r\n"
        b"2024-11-14T16:00:30Z,hall_1,temperature,7.5,7.5,7.5,1,true\r\n"
    )


@pytest.mark.usefixtures("stored")
async def test_lines_of_json_are_the_rows(client):
    both = f"{SPAN}&every=10s&fields=count,stdev,p50"
    lines = await get(client, both, accept="text/html;q=0.9, application/x-ndjson")
    assert lines.headers["content-type"] == "application/x-ndjson"
    assert lines.headers["sensorpipe-every"] == "10s"
    rows = [json.loads(line) for line in lines.text.splitlines()]
    assert rows == (await get(client, both)).json()["data"]
    assert list(rows[0]) == ["time", "facility", "sensor", "count", "stdev", "p50", "complete"]
    assert (rows[0]["count"], rows[0]["stdev"]) == (2, pytest.approx(2**0.5))


@pytest.mark.usefixtures("stored")
async def test_format_goes_before_accept_and_json_before_what_is_unknown(client):
    async def media(query, accept):
        answer = await get(client, f"{SPAN}&{query}", accept=accept)
        assert "Accept" in answer.headers["vary"].split(", ")
        return answer.headers["content-type"].partition(";")[0]

    assert await media("format=json", "text/csv") == "application/json"
    assert await media("", "application/json;q=0.5, text/csv") == "text/csv"
    assert await media("", "text/csv;q=0") == "application/json"
    assert await media("", "image/png, */*") == "application/json"


@pytest.mark.usefixtures("stored")
async def test_facilities_are_chosen_by_names_and_patterns(client):
    async def found(facility):
        answer = await get(client, f"{SPAN}&facility={facility}")
        return {row["facility"] for row in answer.json()["data"]}

    assert await found("hall_1") == {"hall_1"}
    assert await found("hall_*") == {"hall_1", "hall_2-a"}
    assert await found("hall_2-*,hall_1") == {"hall_1", "hall_2-a"}
    assert await found("*-a") == {"hall_2-a"}
    assert await found("hall") == set()
    assert await found("unknown,hall_1") == {"hall_1"}


@pytest.mark.usefixtures("stored")
async def test_auto_is_the_smallest_step_that_gives_no_more_points_than_allowed(client):
    async def every(query):
        return (await get(client, query)).json()["every"]

    long = f"from={T0}&to={T0 + 86_400_000}"
    assert await every(f"{long}&points=8640") == "10s"
    assert await every(f"{long}&points=8639") == "20s"
    assert await every(long) == "2m"
    assert await every(f"{long}&points=288") == "5m"
    assert await every(f"{long}&points=1") == "7d"  # days and pairs of them end within the range
    # a short history asked for all times is as fine as it can be
    assert await every(f"from=0&to={T0 + 60_000}") == "10s"


async def test_all_that_is_wrong_is_said_together(client):
    answer = await get(
        client,
        "every=7x&points=0&fields=avg,mode&format=xml&complete=yes&facility=Hall&from=x&unit=1",
    )
    assert answer.status_code == 400
    named = [error.split(":")[0] for error in answer.json()["errors"]]
    assert sorted(named) == [
        "Invalid complete",
        "Invalid every",
        "Invalid facility",
        "Invalid fields",
        "Invalid format",
        "Invalid from",
        "Invalid points",
        "Invalid points",
        "Unknown parameter 'unit'",
    ]


async def test_a_list_is_as_long_as_it_is_written(client):
    answer = await get(client, "facility=" + ",".join(["hall_1"] * 501))
    assert answer.json()["errors"] == ["Invalid facility: at most 500 names; got 501"]


@pytest.mark.usefixtures("stored")
async def test_a_step_that_is_no_multiple_of_the_windows_is_refused_with_some_that_are(client):
    answer = await get(client, f"{SPAN}&every=15s")
    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        (
            "Invalid every: must be auto or a multiple of the length of the windows, 10s, such as "
            "10s, 20s, 30s, 1m, 2m; got '15s'"
        )
    ]


async def test_a_row_is_complete_once_its_end_and_the_lateness_have_passed(db):
    await store(db, *(one([(n, 1.0)], window=n) for n in (1, 2, 3)))
    transport = httpx2.ASGITransport(application(db, page_limit=20))
    async with httpx2.AsyncClient(transport=transport, base_url="http://server") as client:
        answer = await get(client, f"{SPAN}&every=10s")
        assert [row["complete"] for row in answer.json()["data"]] == [True] * 3
        answer = await get(client, f"{SPAN}&every=3650d")
        assert [row["complete"] for row in answer.json()["data"]] == [False]
        answer = await get(client, f"{SPAN}&every=3650d&complete=true")
        assert answer.json()["data"] == []


@pytest.fixture
async def day(db, monkeypatch):
    """A day with two sensors in 30 windows, in its rollups and in the list of facilities."""
    monkeypatch.setattr(series, "MAX_ROWS", 50)
    for sensor in ("temperature", "humidity"):
        await store(
            db,
            *(
                one([(n, float(n))], window=288 * n, sensor=sensor, number=n, run=len(sensor))
                for n in range(1, 31)
            ),
        )
    later = NOW.timestamp() + 3 * 3600
    await Rolling(db, lambda: True, clock=lambda: later, pace=Pace(1.0)).round()
    await note(database.windows(db), database.rollups(db), database.facilities(db), "facility_1")
    return f"from={T0}&to={T0 + 2 * 86_400_000}"


async def test_too_many_rows_are_refused_with_a_step_that_gives_fewer(day, client):
    answer = await get(client, f"{day}&every=10s")
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == (
        "Invalid every: the answer would have more than 50 rows; with every=1h it would not, nor "
        "with every=auto"
    )
    auto = (await get(client, f"{day}&points=100000")).json()
    assert len(auto["data"]) <= 50


async def test_rows_are_counted_where_windows_are_rare(day, client, monkeypatch):
    monkeypatch.setattr(series, "MAX_ROWS", 60)
    rows = (await get(client, f"{day}&every=10s")).json()["data"]
    assert len(rows) == 60
    monkeypatch.setattr(series, "MAX_ROWS", 55)  # the newest windows have no rollup yet
    assert (await get(client, f"{day}&every=10s")).status_code == 413


async def test_csv_and_json_have_the_same_values(day, client):
    rows = (await get(client, f"{day}&every=1d&fields=avg,p95,count")).json()["data"]
    text = (await get(client, f"{day}&every=1d&fields=avg,p95,count&format=csv")).text
    for row, line in zip(rows, csv.DictReader(io.StringIO(text)), strict=True):
        assert datetime.fromisoformat(line["time"]) == datetime.fromisoformat(row["time"])
        assert (float(line["avg"]), float(line["p95"])) == (row["avg"], row["p95"])
        assert (int(line["count"]), line["complete"]) == (row["count"], "true")
