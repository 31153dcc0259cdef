"""`GET /api/live`: each window that is stored is an event, once for each state it has."""

import json

import pytest
from sensorpipe_schema.partial import encode
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.rollups.fold_writer import FoldWriter
from support.live_streams import listening, live
from support.server_parts import client_of, fresh_database, one, partial, store, summary


@pytest.fixture
async def db(mongod_set):
    async with fresh_database(mongod_set) as fresh:
        yield fresh


@pytest.fixture
async def port(db):
    async with live(db) as port:
        yield port


def counts(events):
    """Return facility and number of temperatures of each event."""
    return [(each.data["facility_name"], each.data["count_temperature"]) for each in events]


async def test_a_stored_window_is_an_event_as_the_windows_are_listed(db, port):
    async with listening(port) as stream, client_of(db) as client:
        await store(db, one([(1, 1.0), (2, 4.0)]))
        event = await stream.event()
        (listed,) = (await client.get("/api/sensors/facility_1")).json()["data"]
    assert event.kind == "window"
    assert event.data == listed
    assert event.data["complete"] is True
    assert event.data["count_temperature"] == 2
    assert event.data["avg_temperature"] == 2.5


async def test_the_headers_say_that_it_is_a_stream_and_no_proxy_may_hold_it_back(port):
    async with listening(port) as stream:
        assert stream.status == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["cache-control"] == "no-cache"
        assert stream.headers["x-accel-buffering"] == "no"
        assert "content-encoding" not in stream.headers
        assert "etag" not in stream.headers


async def test_head_answers_without_a_stream(port):
    async with listening(port, method="HEAD") as stream:
        assert stream.status == 200
        assert stream.headers["content-type"].startswith("text/event-stream")


async def test_a_window_that_grows_is_sent_again_with_all_that_it_has(db, port):
    async with listening(port) as stream:
        for number in (1, 2, 3):
            await store(db, one([(number, 1.0)], number=number))
            assert counts([await stream.event()]) == [("facility_1", number)]


async def test_partials_that_come_together_are_one_event(db, port):
    async with listening(port) as stream:
        await store(db, *(one([(number, 1.0)], number=number) for number in range(1, 6)))
        await store(db, one([(1, 1.0)], facility="facility_2", number=6))
        assert counts(await stream.events(2)) == [("facility_1", 5), ("facility_2", 1)]


async def test_only_the_facilities_and_sensors_that_were_asked_for_come(db, port):
    async with (
        listening(port, "facility=hall_1,line_*") as named,
        listening(port, "sensors=humidity") as humidity,
    ):
        both = {"temperature": summary([(1, 1.0)]), "humidity": summary([(1, 50.0)], "other")}
        for number, facility in enumerate(("hall_1", "hall_10", "line_a", "other"), 1):
            sensors = both if facility == "other" else {"temperature": both["temperature"]}
            await store(db, encode(partial(sensors, facility=facility, number=number)))
        assert counts(await named.events(2)) == [("hall_1", 1), ("line_a", 1)]
        (event,) = await humidity.events(1)
    assert event.data["facility_name"] == "other"
    assert event.data["avg_humidity"] == 50.0
    assert "avg_temperature" not in event.data


async def test_what_the_background_does_to_a_window_is_no_event(db, port):
    async with listening(port) as stream:
        await store(db, *(one([(number, 1.0)], number=number) for number in range(1, 6)))
        assert counts([await stream.event()]) == [("facility_1", 5)]
        windows = database.windows(db)
        documents = await windows.find().sort("_id").to_list()
        from sensorpipe_server.storage.documents import read_id

        writer = FoldWriter(windows)
        await writer.add(read_id(documents[0]["_id"]).window, documents)
        await writer.finish()
        assert await windows.count_documents({}) == 1
        await store(db, one([(3, 1.0)], number=3))  # redelivered, and held by the folded one
        await store(db, one([(1, 1.0)], facility="facility_2", number=6))
        assert counts([await stream.event()]) == [("facility_2", 1)]


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("facility=Hall", "Invalid facility: each must be 1 to 63"),
        ("facility=", "Invalid facility"),
        ("facility=" + ",".join(f"h{n}" for n in range(501)), "at most 500 names; got 501"),
        ("sensors=A", "sensor name"),
        ("from=now", "Unknown parameter 'from': allowed are facility, sensors"),
    ],
)
async def test_a_wrong_parameter_is_refused(port, query, error):
    async with listening(port, query) as stream:
        assert stream.status == 400
        assert error in json.loads(await stream.body())["detail"]


async def test_without_a_replica_set_the_answer_says_what_to_do(mongod):
    async with fresh_database(mongod) as db, live(db) as port, listening(port) as stream:
        assert stream.status == 501
        problem = json.loads(await stream.body())
    assert stream.headers["content-type"] == "application/problem+json"
    assert problem["title"] == "Not Implemented"
    assert problem["detail"] == "MongoDB is not a replica set: poll /api/series instead"
