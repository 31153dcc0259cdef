"""A series is sent while it is read: nobody reads for a client that left, and errors are seen."""

import asyncio
import threading

import pytest
from pymongo.errors import AutoReconnect
from pymongo.monitoring import CommandListener
from sensorpipe_server.api.http import server
from sensorpipe_server.api.routes import application
from sensorpipe_server.api.series_forms import Cells
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.reads import series
from sensorpipe_server.storage.reads.buckets import Buckets
from sensorpipe_server.storage.reads.ranges import Ranges
from support.http_clients import get
from support.server_parts import T0, one, store

pytest_plugins = ["support.server_fixtures"]

WINDOWS = 3000
PATH = f"/api/series?from={T0}&to={T0 + WINDOWS * 10_000}&every=10s".encode()


class Finds(CommandListener):
    """Counts the reads of a client."""

    def __init__(self):
        self.count = 0

    def started(self, event):
        self.count += event.command_name in ("find", "getMore")

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


@pytest.fixture
async def finds():
    return Finds()


@pytest.fixture
async def port(db, mongod, finds, monkeypatch):
    """The port of the API, of a database with windows that make many slices."""
    monkeypatch.setattr(series, "ROWS", 100)
    await store(db, *(one([(n, 1.0)], window=n) for n in range(1, WINDOWS + 1)))
    uri = f"mongodb://127.0.0.1:{mongod.port}/{db.name}"
    stop, listener = asyncio.Event(), server.listen("127.0.0.1", 0)
    async with database.connect(uri, event_listeners=[finds]) as client:
        app = application(database.database(client), page_limit=20)
        serving = asyncio.create_task(server.serve(app, listener, stop))
        yield listener.getsockname()[1]
        stop.set()
        await serving


async def received(port, *, close=True):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(get(PATH, close=close))
    answer = await reader.read()
    writer.close()
    return answer


async def test_an_answer_in_pieces_ends_with_the_last_chunk(port, finds):
    answer = await received(port)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.count(b'"count":1') == WINDOWS - 1  # the range ends before the last window
    assert answer.endswith((b"0\r\n\r\n", b"]}"))
    assert finds.count > WINDOWS / 100


@pytest.mark.parametrize("held", [1024 * 1024, 0], ids=["held for its tag", "sent at once"])
async def test_an_error_in_the_middle_never_looks_like_the_end(port, monkeypatch, held):
    monkeypatch.setattr("sensorpipe_server.api.http.conditional.MAX_HELD_BYTES", held)
    read, calls = Ranges.read_plain, []

    async def fails_later(self, *args, **options):
        calls.append(args)
        if len(calls) > 3:
            raise AutoReconnect("gone")
        return await read(self, *args, **options)

    monkeypatch.setattr(Ranges, "read_plain", fails_later)
    answer = await received(port)
    if held:
        assert answer.startswith(b"HTTP/1.1 500 ")
    else:
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"transfer-encoding: chunked\r\n" in answer
        assert 0 < answer.count(b'"count":1') < WINDOWS - 1
    assert not answer.endswith((b"0\r\n\r\n", b"]}"))


async def test_an_error_before_the_first_row_is_a_problem(port, monkeypatch):
    async def fails(*_args, **_options):
        raise AutoReconnect("gone")

    monkeypatch.setattr(Ranges, "read_plain", fails)
    answer = await received(port)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"application/problem+json" in answer


async def test_nothing_more_is_read_for_a_client_that_leaves(port, monkeypatch):
    read, ended = Ranges.read_plain, asyncio.Event()
    calls = []

    async def watched(self, *args, **options):
        calls.append(args)
        if len(calls) > 2:
            writer.close()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
        return await read(self, *args, **options)

    monkeypatch.setattr(Ranges, "read_plain", watched)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(get(PATH))
    await asyncio.wait_for(ended.wait(), 30)
    assert len(calls) == 3
    monkeypatch.setattr(Ranges, "read_plain", read)
    assert (await received(port)).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_clients_that_do_not_read_do_not_keep_others_waiting(port, monkeypatch):
    monkeypatch.setattr("sensorpipe_server.api.http.conditional.MAX_HELD_BYTES", 0)
    slow = [await asyncio.open_connection("127.0.0.1", port, limit=64) for _ in range(4)]
    for _, writer in slow:
        writer.write(get(PATH, close=False))
    await asyncio.gather(*(reader.readuntil(b"\r\n") for reader, _ in slow))
    assert (await received(port)).count(b'"count":1') == WINDOWS - 1
    for _, writer in slow:
        writer.close()


async def test_much_is_added_up_and_written_in_a_thread(port, monkeypatch):
    monkeypatch.setattr(series, "ROWS", 10_000)
    loop = threading.current_thread()
    seen: dict[str, list[bool]] = {}

    def watch(owner, name):
        step = getattr(owner, name)

        def watched(*args):
            seen.setdefault(name, []).append(threading.current_thread() is loop)
            return step(*args)

        monkeypatch.setattr(owner, name, watched)

    watch(Buckets, "take")
    watch(Buckets, "rows")
    watch(Cells, "of")
    assert (await received(port)).startswith(b"HTTP/1.1 200 OK\r\n")
    assert sum(seen["take"]) < 1000  # the last documents, of which there are few
    assert len(seen["take"]) == WINDOWS - 1
    assert seen["rows"] == [False]
    assert seen["of"] == [False, True]
