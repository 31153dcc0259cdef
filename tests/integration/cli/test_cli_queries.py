"""`sensorpipe facilities`, `get`, `stats`, `series` and `tail` against a running API."""

import asyncio
import csv
import io
import json
import signal

import pytest
from sensorpipe_server.api.routes import application
from sensorpipe_server.storage.documents import date
from support.api_clients import answer, scripted, served
from support.commands import run, start
from support.server_parts import T0, one, store

pytest_plugins = ["support.server_fixtures"]

BEGIN = date(T0).isoformat()
END = date(T0 + 3_600_000).isoformat()


@pytest.fixture
async def url(db):
    await store(db, *(one([(n, float(n))], window=n) for n in range(1, 4)))
    await store(db, one([(1, 5.0)], facility="hall_2", sensor="humidity"))
    async with served(application(db, page_limit=20)) as at:
        yield at


async def test_facilities_as_a_table(url):
    code, output, errors = await run(url, "facilities")
    assert (code, errors) == (0, "")
    assert output.splitlines() == [
        "facility    sensors      last_start            last_end",
        "facility_1  temperature  2024-11-14T16:00:30Z  2024-11-14T16:00:40Z",
        "hall_2      humidity     2024-11-14T16:00:00Z  2024-11-14T16:00:10Z",
    ]


async def test_windows_as_a_table_the_newest_first(url):
    code, output, _ = await run(url, "get", "facility_1", "--limit", "2")
    head, *rows = output.splitlines()
    assert code == 0
    assert head.split() == [
        "start", "end", "facility", "sensor", "count", "avg", "min", "max", "stdev", "complete"
    ]  # fmt: skip
    assert [row.split()[0] for row in rows] == ["2024-11-14T16:00:30Z", "2024-11-14T16:00:20Z"]
    assert rows[0].split()[2:] == [
        "facility_1", "temperature", "1", "3", "3", "3", "0", "true"
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["csv", "ndjson", "json"])
async def test_statistics_in_forms_for_programs(url, form):
    code, output, _ = await run(url, "stats", "temperature", "humidity", "-o", form)
    assert code == 0
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(output)))
    else:
        rows = json.loads(output) if form == "json" else list(map(json.loads, output.splitlines()))
    assert [(row["facility"], row["sensor"], float(row["avg"])) for row in rows] == [
        ("facility_1", "temperature", 2.0),
        ("hall_2", "humidity", 5.0),
    ]


async def test_a_series_in_each_form_has_the_same_rows(url):
    asked = ("series", "facility_*", "--since", BEGIN, "--until", END, "--every", "10s")
    table = (await run(url, *asked))[1].splitlines()
    assert table[0].split() == [
        "time", "facility", "sensor", "avg", "min", "max", "count", "complete"
    ]  # fmt: skip
    rows = list(csv.DictReader(io.StringIO((await run(url, *asked, "-o", "csv"))[1])))
    lines = [*map(json.loads, (await run(url, *asked, "-o", "ndjson"))[1].splitlines())]
    answer = json.loads((await run(url, *asked, "-o", "json"))[1])
    assert [row["time"] for row in rows] == [f"2024-11-14T16:00:{n}0Z" for n in (1, 2, 3)]
    assert [line.split()[0] for line in table[1:]] == [row["time"] for row in rows]
    assert lines == answer["data"]
    assert [row["avg"] for row in lines] == [1.0, 2.0, 3.0]


async def test_an_unknown_facility_is_named_with_what_was_meant(url):
    for command in (["get"], ["tail"], ["series"], ["series", "-o", "csv"]):
        code, output, errors = await run(url, *command, "facilty_1")
        assert (code, output) == (2, "")
        assert errors == "unknown facility 'facilty_1'; did you mean facility_1?\n"
    assert "`sensorpipe facilities` lists" in (await run(url, "get", "zzz"))[2]


async def test_all_that_the_server_refuses_is_printed_line_by_line(url):
    code, output, errors = await run(url, "series", "--every", "soon", "--since", "yesterday")
    assert (code, output) == (2, "")
    assert [line.split(":")[0] for line in errors.splitlines()] == [
        "Invalid from", "Invalid every"
    ]  # fmt: skip


async def test_a_server_that_cannot_be_reached_exits_with_2():
    async with scripted() as (_, url):
        pass
    code, _, errors = await run(url, "facilities")
    assert code == 2
    assert errors.startswith(f"cannot query {url}/api/facilities: ")


async def test_what_a_server_sends_cannot_move_the_cursor():
    item = {
        "facility_name": "a\x1b[2J",
        "sensors": ["x\ny"],
        "last_window": {"start_time": "2026-11-27T10:00:00Z", "end_time": "2026-11-27T10:00:10Z"},
    }
    body = json.dumps({"data": [item]}).encode()
    async with scripted(answer(200, body)) as (_, url):
        code, output, _ = await run(url, "facilities")
    assert code == 0
    assert r"a\x1b[2J" in output
    assert "\x1b" not in output
    assert len(output.splitlines()) == 2


LAST = {"start_time": "2026-11-27T10:00:00Z", "end_time": "2026-11-27T10:00:10Z"}
LISTED = {"data": [{"facility_name": "a", "sensors": ["x"], "last_window": LAST}]}
WINDOW = {
    "facility_name": "a",
    "window": LAST,
    "received_at": "2026-11-27T10:00:12Z",
    "complete": True,
    "avg_x": 1.5, "min_x": 1.0, "max_x": 2.0, "stdev_x": 0.7, "count_x": 2,
}  # fmt: skip
STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 100000\r\n\r\n"
    b"id: 1\nevent: window\ndata: " + json.dumps(WINDOW).encode() + b"\n\n"
)


async def test_tail_prints_windows_as_they_come_until_ctrl_c():
    opened = asyncio.Event()

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        if b"/api/live" in head:
            writer.write(STREAM)
            await opened.wait()
        else:
            writer.write(answer(200, json.dumps(LISTED).encode()))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        process = await start(f"http://127.0.0.1:{port}", "tail", "a", "-o", "ndjson")
        assert process.stdout is not None
        line = json.loads(await process.stdout.readline())
        assert (line["start"], line["sensor"], line["avg"]) == ("2026-11-27T10:00:00Z", "x", 1.5)
        process.send_signal(signal.SIGINT)
        _, errors = await process.communicate()
        assert (process.returncode, errors) == (130, b"")
        opened.set()


async def test_tail_goes_on_when_a_server_that_restarts_is_back():
    streams = [STREAM, *[b""] * 3, STREAM]  # each that breaks off doubles the pause
    opened = asyncio.Event()

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        if b"/api/live" in head:
            writer.write(streams.pop(0))
            if not streams:
                await opened.wait()
        else:
            writer.write(answer(200, json.dumps(LISTED).encode()))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        process = await start(f"http://127.0.0.1:{port}", "tail", "-o", "ndjson")
        assert process.stdout is not None
        lines = [await process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        _, errors = await process.communicate()
        opened.set()
    assert [json.loads(line or b"{}").get("sensor") for line in lines] == ["x", "x"], errors
    assert (process.returncode, errors) == (130, b"")


@pytest.mark.parametrize("names", [[], ["a"], ["a*"]])
async def test_tail_of_a_server_that_cannot_be_reached_exits_with_2(names):
    async with scripted() as (_, url):
        pass
    code, output, errors = await run(url, "tail", *names)
    assert (code, output) == (2, "")
    assert errors.startswith(f"cannot query {url}/api/facilities: ")
