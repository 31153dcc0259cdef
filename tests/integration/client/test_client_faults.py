"""Both clients against servers that are busy, away, slow or something else."""

import asyncio
import json
import socket

import pytest
from sensorpipe_client import AnswerError, ApiError, ClientError, ConnectionFailedError, Retries
from support.api_clients import KINDS, EitherClient, answer, scripted

FACILITIES = json.dumps({"data": []}).encode()
GOOD = answer(200, FACILITIES, content_type="application/json")
BUSY = answer(503, b'{"detail":"busy"}', retry_after="0", content_type="application/problem+json")
SLOW_DOWN = answer(429, b"", retry_after="0")
QUICK = Retries(times=3, seconds=10)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


async def test_it_repeats_a_request_that_came_too_soon(kind):
    async with scripted(BUSY, SLOW_DOWN, GOOD) as (script, url):
        assert await EitherClient(kind, url, retries=QUICK).call("facilities") == []
        assert len(script.requests) == 3


async def test_it_gives_up_with_the_server_s_reason(kind):
    async with scripted(*[BUSY] * 9) as (script, url):
        with pytest.raises(ApiError, match="503 busy"):
            await EitherClient(kind, url, retries=Retries(times=1)).call("facilities")
        assert script.left == 7


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"da',
        b"not HTTP at all\r\n\r\n",
    ],
    ids=["closed", "cut off", "cut off in a chunk", "something else"],
)
async def test_an_answer_that_breaks_off_is_asked_for_again(kind, broken):
    async with scripted(broken, GOOD) as (script, url):
        assert await EitherClient(kind, url, retries=QUICK).call("facilities") == []
        assert len(script.requests) == 2


async def test_a_series_that_breaks_off_is_an_error_and_no_short_series(kind):
    cut = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ntime,\r\n"
    async with scripted(cut, GOOD) as (script, url):
        with pytest.raises(ConnectionFailedError, match="the answer broke off"):
            await EitherClient(kind, url, retries=QUICK).call("stream_series")
        assert script.left == 1


async def test_a_series_is_asked_for_again_before_its_first_byte(kind):
    series = answer(200, b"time\r\n", content_type="text/csv")
    async with scripted(b"", BUSY, series) as (_, url):
        assert await EitherClient(kind, url, retries=QUICK).call("stream_series") == [b"time\r\n"]


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[1]", b'{"data": 3}', b'{"data": [{"facility_name": 1}]}', b"\xff"]
)
async def test_answers_of_other_programs_are_refused(kind, body):
    async with scripted(answer(200, body)) as (_, url):
        with pytest.raises(AnswerError, match=r"/api/facilities: not the answer of a sensorpipe"):
            await EitherClient(kind, url, retries=QUICK).call("facilities")


@pytest.mark.parametrize("body", [b"[]", b'{"data": [{}]}', b'{"data": [], "complete": "no"}'])
async def test_answers_that_are_no_dead_letters_are_refused(kind, body):
    async with scripted(answer(200, body)) as (_, url):
        with pytest.raises(AnswerError, match=r"/api/dead-letters\?limit=50: not the answer"):
            await EitherClient(kind, url, retries=QUICK).call("dead_letters")


async def test_dead_letters_are_asked_for_again_while_kafka_is_away(kind):
    good = answer(200, b'{"data": [], "complete": true, "colour": "of a newer server"}')
    async with scripted(BUSY, good) as (script, url):
        found = await EitherClient(kind, url, retries=QUICK).call(
            "dead_letters", limit=7, reason="not_json", feed="z"
        )
    assert found.complete
    asked = script.requests[1].split(b" ")[1]
    assert asked == b"/api/dead-letters?limit=7&reason=not_json&feed=z"


async def test_other_programs_have_no_live_windows(kind):
    async with scripted(GOOD) as (_, url):
        with pytest.raises(AnswerError, match="not a stream of events of a sensorpipe server"):
            await EitherClient(kind, url, retries=QUICK).call("live")


async def test_a_server_that_is_away_is_named(kind):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = EitherClient(kind, f"http://127.0.0.1:{port}", retries=Retries(times=0))
    for name in ("facilities", "live", "stream_series"):
        with pytest.raises(ConnectionFailedError, match=f"http://127.0.0.1:{port}/api/"):
            await client.call(name)


async def test_neither_a_refusal_nor_a_lost_connection_shows_a_password(kind):
    refusal = answer(401, b'{"detail":"no"}')
    for answers in ((refusal,), (b"",)):
        async with scripted(*answers) as (_, url):
            secret = url.replace("//", "//user:secret@")
            client = EitherClient(kind, secret, retries=Retries(times=0))
            with pytest.raises(ClientError) as raised:
                await client.call("facilities")
        assert raised.value.url == f"{url}/api/facilities"
        assert "secret" not in str(raised.value)


async def test_a_server_that_never_answers_times_out(kind):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client = EitherClient(kind, url, retries=Retries(times=0), timeout=0.2)
        with pytest.raises(ConnectionFailedError):
            await client.call("facilities")


async def test_a_live_stream_goes_on_where_it_broke_off(kind):
    windows = [
        {
            "facility_name": "a",
            "window": {
                "start_time": f"2026-11-27T10:00:{n}0Z", "end_time": "2026-11-27T10:01:00Z"
            },
            "received_at": "2026-11-27T10:01:00Z",
            "complete": True,
        }
        for n in range(3)
    ]  # fmt: skip
    events = [
        f"id: t{n}\nevent: window\ndata: {json.dumps(window)}\n\n".encode()
        for n, window in enumerate(windows)
    ]
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    answers = [
        head + b"retry: 2000\n\n: heartbeat\n\n" + events[0],
        b"",
        BUSY,
        head + events[1] + b"id: t9\nevent: window\ndata: {",
        head + events[2],
    ]
    async with scripted(*answers) as (script, url):
        found = await EitherClient(kind, url, retries=QUICK).call("live", "a", most=3)
    assert [window.start.second for window in found] == [0, 10, 20]
    last_ids = [
        line.partition(b": ")[2]
        for request in script.requests
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"last-event-id")
    ]
    assert last_ids == [b"t0", b"t0", b"t0", b"t1"]


async def test_a_stream_that_ends_at_once_every_time_is_given_up(kind):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    async with scripted(*[head] * 9) as (script, url):
        with pytest.raises(ConnectionFailedError, match="the stream has ended"):
            await EitherClient(kind, url, retries=Retries(times=2)).call("live", "a", most=1)
        assert script.left == 6


async def test_a_page_that_is_its_own_next_one_is_refused(kind):
    pages = [
        answer(200, json.dumps({"data": [], "pagination": {"next": name}}).encode())
        for name in ("a", "b", "b")
    ]
    async with scripted(*pages, *pages) as (script, url):
        with pytest.raises(AnswerError, match="the next page is this one"):
            await EitherClient(kind, url, retries=QUICK).call("windows", "hall_1")
        assert script.left == 3


async def test_after_a_gap_it_reads_what_was_open_by_the_server_s_clock(kind):
    span = {"start_time": "2026-11-27T10:00:00Z", "end_time": "2026-11-27T10:00:10Z"}
    known = [{"facility_name": name, "sensors": ["x"], "last_window": span} for name in "ab"]
    window = {"facility_name": "a", "window": span, "received_at": span["end_time"]}
    stream = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"
        b"Date: Fri, 27 Nov 2026 10:00:05 GMT\r\n\r\n"
        b'retry: 2000\nid: t0\n\nid: t1\nevent: gap\ndata: {"reason":"slow"}\n\n'
    )
    page = json.dumps({"data": [window], "pagination": {}}).encode()
    listed = answer(200, json.dumps({"data": known}).encode())
    async with scripted(stream, listed, answer(200, page)) as (script, url):
        (found,) = await EitherClient(kind, url, retries=QUICK).call("live", "a", most=1)
    assert found.start.isoformat() == "2026-11-27T10:00:00+00:00"
    path = script.requests[2].split(b" ")[1].decode()
    assert path == "/api/sensors/a?from=2026-11-27T09%3A59%3A05%2B00%3A00&cursor="


async def test_a_token_is_sent_and_a_proxy_not_asked_for_loopback(kind, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with scripted(GOOD) as (script, url):
        await EitherClient(kind, url, token="t0ken", retries=Retries(times=0)).call("facilities")
    assert b"authorization: Bearer t0ken" in script.requests[0].replace(b"Auth", b"auth")


async def test_only_errors_of_the_client_come_out(kind):
    """Whatever bytes a server sends."""
    rubbish = [
        b"\x00" * 40,
        b"HTTP/1.1 999 \r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 301 X\r\nLocation: ::\r\n\r\n",
    ]
    for each in rubbish:
        for name in ("facilities", "live", "stream_series"):
            async with scripted(*[each] * 3) as (_, url):
                client = EitherClient(kind, url, retries=Retries(times=0))
                with pytest.raises(ClientError):
                    await asyncio.wait_for(client.call(name), 60)
