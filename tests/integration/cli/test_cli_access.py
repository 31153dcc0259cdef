"""Every command and the client against an API that needs a token: without, with, and refused."""

import asyncio
import signal
import time
from typing import Any

import pytest
from sensorpipe_client import ApiError
from sensorpipe_server.api.access.access import Access
from sensorpipe_server.api.routes import application
from support.api_clients import KINDS, EitherClient, served
from support.commands import run, start
from support.dead_letters import Kept, refused_message
from support.server_parts import T0, fresh_database, one, store
from support.tokens import access_file, grant
from support.tokens import token as signed_token

READ = (
    ("facilities",),
    ("get", "hall_1"),
    ("stats", "temperature"),
    ("series", "hall_1", "--since", "2024-11-14"),
    ("verify",),
    ("verify", "--facility", "hall_1", "--json"),
)
DEAD = ("dead",)
STREAMS = (("tail", "hall_1", "-o", "ndjson"), ("dead", "--follow", "-o", "ndjson"))
ADMIN = (DEAD, STREAMS[1])


@pytest.fixture
async def db(mongod_set):
    async with fresh_database(mongod_set) as fresh:
        recent = (int(time.time() * 1000) - T0) // 10_000 - 3
        for facility in ("hall_1", "hall_2"):
            await store(fresh, one([(1, 20.0)], facility=facility, window=recent, src=facility))
        yield fresh


@pytest.fixture
async def url(db, tmp_path):
    path = access_file(
        tmp_path,
        grant(["read"], ["hall_1"], subject="reader"),
        grant(["read", "admin"], ["*"], subject="admin"),
        grant(["metrics"], ["*"], subject="prometheus"),
    )
    kept = Kept()
    kept.add(refused_message("bad_val", "t", b"{}", "bad_val: wrong"), at_ms=1)
    app = application(
        db, page_limit=20, access=Access(path), dead_letters=kept, set_aside=kept.counts
    )
    async with served(app) as at:
        yield at


def token(subject):
    now = time.time()
    return signed_token(sub=subject, exp=now + 600, iat=now)


def token_file(folder, subject):
    path = folder / f"{subject}.token"
    path.write_text(f"{token(subject)}\n")
    return ("--token-file", str(path))


@pytest.mark.parametrize("command", [*READ, DEAD, *STREAMS], ids=" ".join)
async def test_without_a_token_each_command_says_that_one_is_needed(url, command):
    code, output, errors = await run(url, *command)
    assert (code, output) == (2, "")
    assert "A token is needed" in errors


@pytest.mark.parametrize("command", [*READ, DEAD, *STREAMS], ids=" ".join)
async def test_with_another_scope_each_command_says_which_is_missing(url, tmp_path, command):
    given = token_file(tmp_path, "prometheus")
    code, output, errors = await run(url, *command, *given)
    assert (code, output) == (2, "")
    scope = "admin" if command in ADMIN else "read"
    assert f"The token does not grant the scope {scope}; granted: metrics for *" in errors


@pytest.mark.parametrize("command", [*READ, DEAD], ids=" ".join)
async def test_with_a_token_each_command_is_answered(url, tmp_path, command):
    subject = "admin" if command in ADMIN else "reader"
    code, output, errors = await run(url, *command, *token_file(tmp_path, subject))
    assert (code, errors) == (0, "")
    shown = {DEAD: "bad_val", ("verify",): "1 readings of 1 sources"}  # hall_2 has one as well
    assert shown.get(command, "hall_1") in output
    assert "hall_2" not in output


async def test_a_facility_that_is_not_granted_is_named_with_those_that_are(url, tmp_path):
    given = token_file(tmp_path, "reader")
    for command in (("series", "hall_2"), ("verify", "--facility", "hall_2")):
        code, _, errors = await run(url, *command, *given)
        assert code == 2
        assert "does not grant the facility 'hall_2'; granted: hall_1" in errors


async def test_streams_send_the_token(db, url, tmp_path):
    admin = token_file(tmp_path, "admin")
    tail, dead = [await start(url, *command, *admin) for command in STREAMS]
    assert tail.stdout is not None
    assert dead.stdout is not None
    try:
        number = 1
        line = asyncio.create_task(tail.stdout.readline())
        while not line.done():  # it shows what is stored after it has connected
            number += 1
            await store(db, one([(number, 1.0)], window=number, src="hall_1", number=number,
                                facility="hall_1"))  # fmt: skip
            await asyncio.wait({line}, timeout=0.2)
        assert b"hall_1" in await line
        assert b"bad_val" in await dead.stdout.readline()
    finally:
        for process in (tail, dead):
            process.send_signal(signal.SIGINT)
    for process in (tail, dead):
        _, errors = await process.communicate()
        assert (process.returncode, errors) == (130, b"")


@pytest.mark.parametrize("kind", KINDS)
async def test_each_call_of_the_client_needs_and_sends_it(url, kind):
    calls: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
        ("facilities", (), {}),
        ("stats", ("temperature",), {}),
        ("integrity", (), {}),
        ("dead_letters", (), {}),
        ("windows", ("hall_1",), {"most": 1}),
        ("series", ("hall_1",), {"since": "2024-11-14"}),
        ("stream_series", ("hall_1",), {"since": "2024-11-14", "most": 1}),
    ]
    without, admin = EitherClient(kind, url), EitherClient(kind, url, token=token("admin"))
    for name, arguments, options in calls:
        with pytest.raises(ApiError) as caught:
            await without.call(name, *arguments, **options)
        assert caught.value.status == 401, name
        assert await admin.call(name, *arguments, **options), name
    with pytest.raises(ApiError) as caught:
        await without.call("live", "hall_1", most=1)
    assert caught.value.status == 401
