"""Both clients against every endpoint of the real API, through the same tests."""

import uuid
from datetime import datetime

import httpx2
import pytest
from sensorpipe_client import ApiError, Client, KafkaPlace, Retries
from sensorpipe_runtime.kafka.client import KafkaSettings, ensure_topics
from sensorpipe_runtime.settings import Environment
from sensorpipe_schema.names import COMPACTED
from sensorpipe_server.api.dead_letters.tail import DeadLetterTail
from sensorpipe_server.api.routes import application
from sensorpipe_server.storage.documents import date
from support.api_clients import KINDS, EitherClient, served
from support.dead_letters import refused_message, refused_partial, write
from support.server_parts import T0, one, store

pytest_plugins = ["support.server_fixtures"]

BEGIN = date(T0).isoformat()
END = date(T0 + 3_600_000).isoformat()


@pytest.fixture
async def kept(tansu):
    """Two topics of dead letters, the first with two of them, the second with one."""
    run = uuid.uuid4().hex
    names = f"readings-{run}", f"partials-{run}"
    bootstrap = f"127.0.0.1:{tansu.port}"
    await ensure_topics(kafka_settings(tansu), *names)
    native = refused_message("bad_val", payload=b'{"val": "1"}', detail="bad_val: no")
    of_feed = refused_message("not_a_number", payload=b"\xff", feed="zigbee")
    await write(bootstrap, names[0], [native, of_feed], at_ms=T0)
    await write(bootstrap, names[1], [refused_partial("not_protobuf", b"\xff")], at_ms=T0 + 5)
    return names


def kafka_settings(kafka):
    bootstrap = f"127.0.0.1:{kafka.port}"
    return KafkaSettings.read(Environment({"SENSORPIPE_KAFKA_BOOTSTRAP": bootstrap}))


@pytest.fixture
async def url(db, kept, tansu):
    await store(db, *(one([(n, float(n))], window=n) for n in range(1, 46)))
    await store(db, one([(1, 5.0), (3, 7.0)], src="gone", facility="hall_2", sensor="humidity"))
    letters = DeadLetterTail(kafka_settings(tansu), kept)
    async with served(application(db, page_limit=20, dead_letters=letters)) as at:
        yield at


@pytest.fixture(params=KINDS)
def api(request, url):
    return EitherClient(request.param, url, retries=Retries(times=0))


async def test_facilities(api):
    first, second = await api.call("facilities")
    assert (first.name, first.sensors) == ("facility_1", ["temperature"])
    assert first.last_window.start == date(T0 + 450_000)
    assert second.last_window.end == date(T0 + 10_000)


async def test_windows_of_all_pages_in_order(api):
    found = await api.call("windows", "facility_1")
    assert [window.start for window in found] == [date(T0 + n * 10_000) for n in range(45, 0, -1)]
    newest = found[0].sensors["temperature"]
    assert (newest.count, newest.avg, newest.min, newest.max) == (1, 45.0, 45.0, 45.0)
    assert found[0].complete


async def test_windows_of_a_range_and_of_sensors(api):
    since, until = date(T0 + 20_000), date(T0 + 40_000)
    found = await api.call("windows", "facility_1", since=since, until=until)
    assert [window.start for window in found] == [date(T0 + 30_000), since]
    assert await api.call("windows", "facility_1", sensors=["humidity"]) == []


async def test_statistics(api):
    (found,) = await api.call("stats", "temperature", "humidity", facility="facility_1")
    assert found.facility == "facility_1"
    assert list(found.sensors) == ["temperature"]
    figures = found.sensors["temperature"]
    assert (figures.count, figures.avg, figures.min, figures.max) == (45, 23.0, 1.0, 45.0)
    assert figures.p50 == pytest.approx(23.0, rel=0.01)
    assert await api.call("stats", "temperature", since="-1m") == []


async def test_integrity(api):
    found = await api.call("integrity")
    assert not found.intact
    assert (found.totals.count, found.totals.lost, found.totals.duplicates) == (47, 1, 0)
    assert (await api.call("integrity", "facility_1")).totals.lost == 0


async def test_dead_letters(api, kept):
    found = await api.call("dead_letters")
    assert [each.reason for each in found.data] == ["not_protobuf", "not_a_number", "bad_val"]
    partial, of_feed, native = found.data
    assert native.at == date(T0)
    assert (native.topic, native.detail, native.feed) == ("sensor_readings/hall/t", "no", None)
    assert native.what_to_do == "send val as a number without quotes"
    assert (native.payload_start, native.payload_bytes) == (b'{"val": "1"}', 12)
    assert (of_feed.feed, of_feed.payload_start) == ("zigbee", b"\xff")
    assert partial.read_from == KafkaPlace(COMPACTED, 2, 41)
    assert partial.kept_at.topic == kept[1]
    assert (found.complete, found.since, found.looked_at) == (True, None, 3)
    assert [(each.topic, each.held) for each in found.topics] == [(kept[0], 2), (kept[1], 1)]


async def test_dead_letters_of_a_feed_or_a_reason(api):
    (found,) = (await api.call("dead_letters", feed="zigbee")).data
    assert found.feed == "zigbee"
    assert (await api.call("dead_letters", reason="no_ts")).data == []
    assert len((await api.call("dead_letters", limit=1)).data) == 1


async def test_series(api):
    found = await api.call(
        "series", "facility_*", since=BEGIN, until=END, every="1m", fields=["avg", "count"]
    )
    assert (found.every, found.fields) == ("1m", ("avg", "count"))
    assert [row.count for row in found] == [5, 6, 6, 6, 6, 6, 6, 4]
    assert found.rows[0].avg == 3.0
    assert found.rows[0].min is None
    assert {row.facility for row in found} == {"facility_1"}
    assert (await api.call("series", "facility_1")).rows == []


async def test_a_series_in_pieces_is_that_in_rows(api, tmp_path):
    pieces = await api.call("stream_series", "facility_1", since=BEGIN, until=END)
    path = tmp_path / "rows.csv"
    (await api.call("series", "facility_1", since=BEGIN, until=END)).to_csv(path)
    assert b"".join(pieces) == path.read_bytes()
    assert path.read_bytes().count(b"\r\n") == 46
    lines = await api.call(
        "stream_series", "facility_1", since=BEGIN, until=END, form="ndjson", complete=True
    )
    assert b"".join(lines).count(b"\n") == 45


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "detail"),
    [
        ("windows", ("No Name",), {}, "Invalid facility"),
        ("stats", (), {}, "At least one valid sensor name must be provided"),
        ("series", (), {"every": "7s"}, "Invalid every"),
        ("stream_series", (), {"form": "xlsx"}, "Invalid format"),
        ("integrity", ("a/b",), {}, "Invalid facility"),
        ("dead_letters", (), {"limit": 0}, "Invalid limit"),
    ],
)
async def test_what_the_server_refuses_is_an_error_that_says_why(api, name, args, kwargs, detail):
    with pytest.raises(ApiError, match=detail) as raised:
        await api.call(name, *args, **kwargs)
    assert raised.value.status == 400


async def test_all_problems_of_a_request_are_in_its_error(api):
    with pytest.raises(ApiError) as raised:
        await api.call("series", since="yesterday", every="soon", points=0)
    assert len(raised.value.errors) == 4
    assert raised.value.url.startswith("http://127.0.0.1:")


async def test_each_operation_and_parameter_is_a_method_and_an_argument(url):
    """Whatever is added to the API fails here until the client has it, or it is named here."""
    span = {"from", "to"}
    known = {
        "/api/facilities": set(),
        "/api/sensors/{facility}": {"facility", "sensors", "cursor", *span},
        "/api/stats": {"sensors", "facility", *span},
        "/api/integrity": {"facility"},
        "/api/series": {
            "facility", "sensors", "every", "points", "fields", "complete", "format", *span
        },
        "/api/live": {"facility", "sensors"},
        "/api/dead-letters": {"limit", "reason", "feed"},
    }  # fmt: skip
    async with httpx2.AsyncClient(base_url=url) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    for path, operations in paths.items():
        if path not in known:
            assert path in {"/openapi.json", "/metrics/sensors", "/", "/page/{name}"}
            continue
        of_query = {
            each["name"]
            for each in operations["get"].get("parameters", [])
            if each["in"] != "header"
        }
        if "cursor" in of_query:
            of_query -= {"offset", "limit"}  # of which the cursor takes the place
        assert of_query == known[path], path


def test_a_time_zone_is_not_guessed():
    with Client() as client, pytest.raises(ValueError, match="since must have a time zone"):
        client.series("a", since=datetime(2026, 1, 1))  # noqa: DTZ001  that is the point
