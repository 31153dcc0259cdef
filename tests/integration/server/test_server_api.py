"""The JSON API over a real database."""

import asyncio
import statistics
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import free_port
from sensorpipe_schema.partial import encode
from sensorpipe_server.storage import queries
from sensorpipe_server.storage.documents import date
from sensorpipe_server.storage.mongodb import database
from support.server_parts import T0, client_of, fresh_database, one, partial, store, summary
from support.services import running
from support.waiting import eventually

pytest_plugins = ["support.server_fixtures"]


def at(window):
    return date(T0 + window * 10_000).isoformat().replace("+00:00", "Z")


def starts(answer):
    return [item["window"]["start_time"] for item in answer.json()["data"]]


async def test_windows_come_newest_first_in_pages(db, client):
    await store(db, *(one([(n, float(n))], window=n) for n in range(1, 31)))
    await store(db, one([(1, 1.0)], facility="facility_2"))
    first = await client.get("/api/sensors/facility_1")
    assert first.headers["content-type"] == "application/json"
    assert starts(first) == [at(n) for n in range(30, 10, -1)]
    assert first.json()["pagination"] | {"next": None} == {
        "offset": 0, "limit": 20, "total": 30, "next": None
    }  # fmt: skip
    second = await client.get("/api/sensors/facility_1?offset=20&limit=20")
    assert starts(second) == [at(n) for n in range(10, 0, -1)]
    assert second.json()["pagination"] == {"offset": 20, "limit": 20, "total": 30}
    beyond = await client.get("/api/sensors/facility_1?offset=99&limit=0")
    assert beyond.json() == {"data": [], "pagination": {"offset": 99, "limit": 20, "total": 30}}


async def test_an_item_has_the_statistics_of_its_readings(db, client):
    values = [20.0, 21.5, 19.25]
    await store(
        db,
        encode(
            partial({
                "temperature": summary(enumerate(values, 1)),
                "humidity": summary([(1, 50.0)]),
            })
        ),
    )  # fmt: skip
    (item,) = (await client.get("/api/sensors/facility_1")).json()["data"]
    assert item.pop("received_at") == "2026-11-24T00:00:00Z"
    assert item.pop("stdev_temperature") == pytest.approx(statistics.stdev(values), rel=1e-12)
    assert item.pop("avg_temperature") == pytest.approx(statistics.fmean(values), rel=1e-12)
    assert item == {
        "facility_name": "facility_1",
        "window": {"start_time": "2024-11-14T16:00:00Z", "end_time": "2024-11-14T16:00:10Z"},
        "complete": True,
        "min_temperature": 19.25,
        "max_temperature": 21.5,
        "count_temperature": 3,
        "avg_humidity": 50.0,
        "min_humidity": 50.0,
        "max_humidity": 50.0,
        "stdev_humidity": 0.0,
        "count_humidity": 1,
    }


async def test_what_a_double_cannot_hold_is_null(db, client):
    await store(db, one([(1, -1e308), (2, 1e308)]))
    (item,) = (await client.get("/api/sensors/facility_1")).json()["data"]
    assert item["stdev_temperature"] is None
    (entry,) = (await client.get("/api/stats?sensors=temperature")).json()
    assert entry["temperature"]["stdev"] is None


async def test_a_facility_without_windows_is_an_empty_page(client):
    answer = await client.get("/api/sensors/not-yet")
    assert answer.status_code == 200
    assert answer.json() == {"data": [], "pagination": {"offset": 0, "limit": 20, "total": 0}}


async def test_times_choose_windows_that_start_in_them(db, client):
    await store(db, *(one([(n, 1.0)], window=n) for n in range(1, 6)))
    path = "/api/sensors/facility_1"
    assert starts(await client.get(f"{path}?from={at(2)}&to={at(4)}")) == [at(3), at(2)]
    assert starts(await client.get(f"{path}?from={at(4)}")) == [at(5), at(4)]
    assert starts(await client.get(f"{path}?to={at(2)}")) == [at(1)]
    assert starts(await client.get(f"{path}?from={at(3)}&to={at(3)}")) == []
    there = at(4).replace("T16", "T18").replace("Z", "+02:00")
    for text in (there, quote(there)):
        assert starts(await client.get(f"{path}?from={text}")) == [at(5), at(4)]


async def test_sensors_choose_windows_and_columns(db, client):
    both = partial({"a": summary([(1, 1.0)]), "b": summary([(1, 2.0)])}, window=2)
    await store(db, one([(1, 1.0)], sensor="c", window=1), encode(both))
    answer = (await client.get("/api/sensors/facility_1?sensors=a,z")).json()
    assert answer["pagination"]["total"] == 1
    (item,) = answer["data"]
    assert {key for key in item if key.startswith("avg")} == {"avg_a"}


async def test_a_page_is_of_windows_however_many_partials_they_have(db, client):
    await store(
        db,
        *(one([(3 * n + k, float(k))], window=n, number=3 * n + k)
          for n in range(1, 11) for k in (1, 2, 3)),
    )  # fmt: skip
    newest = datetime(2026, 11, 25, tzinfo=UTC)
    await store(db, one([(99, 0.0)], window=9, number=99), received_at=newest)
    for query, expected in (
        ("", [10, 9, 8]),
        ("&offset=2", [8, 7, 6]),
        ("&sensors=temperature", [10, 9, 8]),
    ):
        page = await client.get(f"/api/sensors/facility_1?limit=3{query}")
        assert starts(page) == [at(n) for n in expected]
        assert page.json()["pagination"]["total"] == 10
        (item,) = [i for i in page.json()["data"] if i["window"]["start_time"] == at(8)]
        assert (item["count_temperature"], item["avg_temperature"]) == (3, 2.0)
    (item,) = (await client.get(f"/api/sensors/facility_1?from={at(9)}&to={at(10)}")).json()["data"]
    assert (item["count_temperature"], item["received_at"]) == (4, "2026-11-25T00:00:00Z")


def itemized(readings, *, window=0, number=1):
    """Return the message of a partial whose compactor could not be sure of its readings."""
    made = partial({"temperature": summary(readings)}, window=window, number=number)
    made.itemized = True
    made.sensors["temperature"].sources = {"run": [(seq, seq) for seq, _ in readings]}
    made.sensors["temperature"].values = {"run": [value for _, value in readings]}
    return encode(made)


async def test_what_another_partial_holds_counts_once_wherever_it_is_asked_for(db, client):
    await store(
        db,
        one([(1, 1.0), (2, 2.0)], window=1),
        itemized([(3, 3.0), (2, 2.0)], window=1, number=2),
        itemized([(4, 4.0)], window=2, number=3),
    )
    page = (await client.get("/api/sensors/facility_1")).json()["data"]
    assert [item["count_temperature"] for item in page] == [1, 3]
    assert page[1]["avg_temperature"] == 2.0
    (entry,) = (await client.get("/api/stats?sensors=temperature")).json()
    assert (entry["temperature"]["count"], entry["temperature"]["avg"]) == (4, 2.5)
    totals = (await client.get("/api/integrity")).json()["totals"]
    assert (totals["count"], totals["lost"], totals["duplicates"]) == (4, 0, 0)


async def test_the_documents_of_a_window_may_come_in_several_batches(db, monkeypatch):
    monkeypatch.setattr(queries, "BATCH", 2)
    messages = [
        one([(5 * n + k, 1.0)], window=n, number=5 * n + k) for n in range(4) for k in range(1, 6)
    ]
    await store(db, *messages, itemized([(1, 1.0), (8, 1.0)], number=99))
    for newest_first in (False, True):
        found = [
            (window.key.start_ms, sum(some.count for some in window.sensors["temperature"]))
            async for batch in queries.folded_windows(
                database.windows(db), "facility_1", newest_first=newest_first
            )
            for window in batch.windows
        ]
        if newest_first:
            found.reverse()
        assert found == [(T0 + n * 10_000, 6 if n == 0 else 5) for n in range(4)]


async def test_a_cursor_neither_repeats_nor_skips_while_data_arrives(db, client):
    await store(db, *(one([(n, 1.0)], window=n) for n in range(1, 51)))
    seen: list[str] = []
    cursor: str | None = ""
    newest = 50
    while cursor is not None:
        answer = await client.get(f"/api/sensors/facility_1?limit=7&cursor={cursor}")
        seen += starts(answer)
        pagination = answer.json()["pagination"]
        assert "offset" not in pagination
        assert "total" not in pagination
        cursor = pagination.get("next")
        newest += 1
        await store(db, one([(newest, 1.0)], window=newest))
        await store(db, one([(newest, 1.0)], window=60 - newest, number=newest))  # late
    assert seen == [at(n) for n in range(50, 0, -1)]


async def test_a_cursor_goes_on_from_an_ordinary_page_and_keeps_the_filter(db, client):
    await store(db, *(one([(n, 1.0)], window=n) for n in range(1, 11)))
    page = await client.get(f"/api/sensors/facility_1?limit=2&from={at(4)}")
    seen = starts(page)
    while cursor := page.json()["pagination"].get("next"):
        page = await client.get(f"/api/sensors/facility_1?limit=2&from={at(4)}&cursor={cursor}")
        seen += starts(page)
    assert seen == [at(n) for n in range(10, 3, -1)]


async def test_statistics_are_those_of_the_readings_themselves(db, client):
    values = [float(n * n % 97) + 0.125 for n in range(1, 401)]
    messages = [
        one([(n, value)], window=n % 17, number=n, src=None) for n, value in enumerate(values, 1)
    ]
    await store(db, *messages, one([(1, 3.0)], facility="other", sensor="humidity"))
    answer = (await client.get("/api/stats?sensors=temperature,humidity")).json()
    assert [entry["_id"] for entry in answer] == ["facility_1", "other"]
    found = answer[0]["temperature"]
    assert set(answer[0]) == {"_id", "temperature"}
    assert found["count"] == 400
    assert found["avg"] == pytest.approx(statistics.fmean(values), rel=1e-12)
    assert found["stdev"] == pytest.approx(statistics.stdev(values), rel=1e-12)
    assert (found["min"], found["max"]) == (min(values), max(values))
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        exact = sorted(values)[int(share * 399)]
        assert found[name] == pytest.approx(exact, rel=0.0101)
    same = {"stdev": 0, "avg": 3, "min": 3, "max": 3, "count": 1, "p50": 3, "p95": 3, "p99": 3}
    assert answer[1]["humidity"] == same


async def test_statistics_of_a_range_and_a_facility(db, client):
    await store(db, *(one([(n, float(n))], window=n) for n in range(1, 6)))
    await store(db, one([(1, 9.0)], facility="other"))
    query = f"sensors=temperature&facility=facility_1&from={at(2)}&to={at(4)}"
    (entry,) = (await client.get(f"/api/stats?{query}")).json()
    assert (entry["temperature"]["count"], entry["temperature"]["avg"]) == (2, 2.5)
    assert (await client.get("/api/stats?sensors=pressure")).json() == []


async def test_facilities(db, client):
    assert (await client.get("/api/facilities")).json() == {"data": []}
    await store(db, one([(1, 1.0)], window=1), one([(1, 1.0)], sensor="humidity", window=3))
    await store(db, one([(1, 1.0)], facility="another"))
    assert (await client.get("/api/facilities")).json()["data"] == [
        {
            "facility_name": "another",
            "sensors": ["temperature"],
            "units": {},
            "last_window": {"start_time": at(0), "end_time": at(1)},
        },
        {
            "facility_name": "facility_1",
            "sensors": ["humidity", "temperature"],
            "units": {},
            "last_window": {"start_time": at(3), "end_time": at(4)},
        },
    ]


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/api/sensors/a?limit=abc", "Invalid limit: must be a non-negative integer; got 'abc'"),
        ("/api/sensors/a?offset=-1", "Invalid offset: must be a non-negative integer; got '-1'"),
        ("/api/sensors/a?limit=21", "Invalid limit: must be at most 20; got '21'"),
        ("/api/stats", "At least one valid sensor name must be provided"),
        ("/api/stats?sensors=", "At least one valid sensor name must be provided"),
        ("/api/stats?sensors=%24x", "At least one valid sensor name must be provided"),
        ("/api/facilities?x=1", "Unknown parameter 'x': allowed are none"),
    ],
)
async def test_wrong_requests_are_problem_documents(client, path, detail):
    answer = await client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json() == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": detail,
        "instance": path.split("?")[0],
        "errors": [detail],
    }


async def test_a_malformed_facility_is_refused(client):
    answer = await client.get("/api/sensors/A%20b?limit=x")
    assert answer.status_code == 400
    assert [text.split(":")[0] for text in answer.json()["errors"]] == [
        "Invalid facility",
        "Invalid limit",
    ]


async def test_unknown_paths_and_methods_are_problem_documents(client):
    missing = await client.get("/nowhere")
    assert (missing.status_code, missing.json()["status"]) == (404, 404)
    assert (await client.get("/api/stats/")).status_code == 404
    posted = await client.post("/api/stats")
    assert (posted.status_code, posted.json()["title"]) == (405, "Method Not Allowed")
    assert "GET" in posted.headers["allow"]
    assert (await client.head("/api/facilities")).status_code == 200


async def test_every_query_uses_an_index(db, client):
    await store(db, *(one([(n, 1.0)], window=n) for n in range(1, 101)))
    await db.command("profile", 2)
    for path in (
        "/api/sensors/facility_1?offset=5",
        f"/api/sensors/facility_1?sensors=temperature&from={at(3)}&cursor=",
        f"/api/stats?sensors=temperature&from={at(3)}",
        "/api/facilities",
        "/api/integrity",
    ):
        assert (await client.get(path)).status_code == 200
    for number in (2, 3):
        await store(db, *(one([(n, 1.0)], window=n, number=number) for n in range(95, 105)))
    await db.command("profile", 0)
    plans = [entry async for entry in db["system.profile"].find({"planSummary": {"$exists": True}})]
    assert len(plans) > 8
    assert {entry["planSummary"].split(" ")[0] for entry in plans} <= {
        "IXSCAN", "IDHACK", "COUNT_SCAN", "EXPRESS", "EOF"
    }  # fmt: skip  # EOF: there is no such collection yet


async def test_while_mongodb_is_away_reads_answer_503_and_then_go_on(tmp_path):
    port = free_port()
    async with running(embedded.mongod(port, tmp_path)) as mongod, fresh_database(mongod) as db:
        await store(db, one([(1, 1.0)]))
        paths = [
            "/api/sensors/facility_1",
            "/api/stats?sensors=temperature",
            "/api/facilities",
            "/api/integrity",
        ]
        async with client_of(db) as client:
            for path in paths:
                assert (await client.get(path)).status_code == 200
            await mongod.stop()
            answers = await asyncio.gather(*(client.get(path) for path in paths))
            for answer in answers:
                assert answer.status_code == 503
                assert answer.headers["content-type"] == "application/problem+json"
            assert answers[0].headers["retry-after"]
            assert (await client.get("/api/stats")).status_code == 400
            await mongod.start()
            await mongod.listening()

            async def answered():
                return (await client.get(paths[0])).status_code == 200

            await eventually(answered)
            assert len((await client.get("/api/sensors/facility_1")).json()["data"]) == 1


async def test_a_fault_of_the_server_is_a_problem_document(client, monkeypatch):
    monkeypatch.setattr("sensorpipe_server.api.sensors.WindowQuery", None)
    answer = await client.get("/api/sensors/facility_1")
    assert (answer.status_code, answer.json()["status"]) == (500, 500)


async def test_documents_that_are_none_of_ours_hide_no_window(db, client):
    await store(db, one([(1, 1.0)], window=1), one([(2, 1.0)], window=2, number=2))
    key = f"facility_1/{T0 + 10_000:015d}/10000"
    foreign = ("facility_1/000000000000001/1", "facility_1/x", f"{key}/0/x", f"{key}/0/7")
    await database.windows(db).insert_many({"_id": each} for each in foreign)
    page = await client.get("/api/sensors/facility_1?cursor=")
    assert starts(page) == [at(2), at(1)]
    (entry,) = (await client.get("/api/stats?sensors=temperature")).json()
    assert entry["temperature"]["count"] == 2
    (facility,) = (await client.get("/api/facilities")).json()["data"]
    assert facility["last_window"]["start_time"] == at(2)
