"""Few scans at once, and none for a client that has gone."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from pymongo.monitoring import CommandListener
from sensorpipe_server.api.http import server
from sensorpipe_server.api.http.metrics import REGISTRY
from sensorpipe_server.api.http.scans import Scans, ended_by_disconnect
from sensorpipe_server.api.routes import application
from sensorpipe_server.storage.mongodb import database
from starlette.applications import Starlette
from starlette.routing import Route
from support.http_clients import Gated, answers_of, asked, connect, get, received, serving
from support.server_parts import one, store
from support.waiting import eventually, until

pytest_plugins = ["support.server_fixtures"]


@pytest.fixture
def gated():
    return Gated()


def app_of(gated, scans):
    """Return an application whose `/scan` is within the limit and waits for the gate."""
    scan = ended_by_disconnect(scans.limited(gated._slow))
    return Starlette(routes=[Route("/scan", scan), Route("/", gated._answer)])


def refused(answer):
    """Check that a request is told to come again."""
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "reached its limit of 1 requests of this kind" in answer.json()["detail"]
    return True


def counted():
    labels = {"status": "503"}
    return REGISTRY.get_sample_value("sensorpipe_server_http_refused_total", labels) or 0


def test_beyond_the_limit_one_waits_and_the_next_is_refused_but_no_page(gated):
    scans = Scans(1, 1, 60)
    with serving(app_of(gated, scans)) as port, connect(port) as runs, connect(port) as waits:
        runs.sendall(get(b"/scan"))
        gated.wait_for(1)
        waits.sendall(get(b"/scan"))
        until(lambda: scans.waiting == 1)
        before = counted()
        assert refused(asked(port, get(b"/scan"))[0])
        assert counted() == before + 1
        assert asked(port, get())[0].body == b"here"
        gated.open()
        for client in (runs, waits):
            assert answers_of(received(client))[0].body == b"slow"


def test_who_has_waited_too_long_is_refused(gated):
    with serving(app_of(gated, Scans(1, 1, 0.1))) as port, connect(port) as runs:
        runs.sendall(get(b"/scan"))
        gated.wait_for(1)
        assert refused(asked(port, get(b"/scan"))[0])
        gated.open()
        assert answers_of(received(runs))[0].body == b"slow"


def test_a_client_that_leaves_gives_its_place_to_the_next(gated):
    scans = Scans(1, 1, 60)
    with serving(app_of(gated, scans)) as port:
        with connect(port) as runs:
            runs.sendall(get(b"/scan"))
            gated.wait_for(1)
            with connect(port) as waits:
                waits.sendall(get(b"/scan"))
                until(lambda: scans.waiting == 1)
            until(lambda: scans.waiting == 0)
        with connect(port) as other:
            other.sendall(get(b"/scan"))
            gated.wait_for(1)  # although nobody has opened the gate for the first
            gated.open()
            assert answers_of(received(other))[0].body == b"slow"


class Commands(CommandListener):
    """Notes the commands that a client sends, and calls `at_more` with the first getMore."""

    def __init__(self):
        self.names = []
        self.at_more = lambda: None

    def started(self, event):
        self.names.append(event.command_name)
        if event.command_name == "getMore" and self.names.count("getMore") == 1:
            self.at_more()

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


@asynccontextmanager
async def listening(db, mongod, commands):
    """Serve the API of a database, with a listener to its commands; yield the port."""
    uri = f"mongodb://127.0.0.1:{mongod.port}/{db.name}"
    stop, listener = asyncio.Event(), server.listen("127.0.0.1", 0)
    async with database.connect(uri, event_listeners=[commands]) as client:
        app = application(database.database(client), page_limit=20)
        serving = asyncio.create_task(server.serve(app, listener, stop))
        yield listener.getsockname()[1]
        stop.set()
        await serving


WINDOWS = 6000


@pytest.mark.parametrize("path", ["/api/stats?sensors=temperature", "/api/integrity"])
async def test_a_client_that_leaves_ends_its_scan_of_the_database(db, mongod, path):
    await store(db, *(one([(n, 1.0)], window=n) for n in range(1, WINDOWS + 1)))
    commands = Commands()
    async with listening(db, mongod, commands) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        commands.at_more = writer.close
        writer.write(get(path.encode()))
        await eventually(lambda: "killCursors" in commands.names)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(get(b"/api/sensors/facility_1?limit=1"))
        assert b"200 OK" in await reader.readline()
        writer.close()
        ended = commands.names.index("killCursors")
    assert "getMore" not in commands.names[ended:]
    assert commands.names.count("getMore") < WINDOWS / 200 - 1  # all that a whole scan takes
