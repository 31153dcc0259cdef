"""What one client can send to the server, and what comes of it: refused, bounded, ended."""

import socket

import pytest
from sensorpipe_server.api.http.limits import HttpLimits
from sensorpipe_server.api.http.metrics import REGISTRY
from support.http_clients import (
    HOST,
    Gated,
    answers_of,
    asked,
    connect,
    get,
    poured,
    received,
    serving,
)
from support.waiting import until

KIB = 1024
MIB = 1024 * KIB
SMALL = {"SO_SNDBUF": 64 * KIB, "SO_RCVBUF": 64 * KIB}


@pytest.fixture
def gated():
    return Gated()


@pytest.fixture
def port(gated):
    with serving(gated.app) as port:
        yield port


def refused(answer, status, detail):
    """Check an answer: the status, a problem document, and an end of the connection."""
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "instance"}
    assert problem["status"] == status
    assert detail in problem["detail"]
    return True


def test_what_is_within_the_limits_is_answered(port):
    long = b"/?x=" + b"a" * (64 * KIB - 5)
    headers = b"".join(b"X-%d: %s\r\n" % (n, b"v" * 300) for n in range(98))
    for request in (get(long), get(more=headers), get(more=b"Content-Length: 4\r\n") + b"body"):
        (answer,) = asked(port, request)
        assert (answer.status, answer.body) == (200, b"here")


def test_a_url_of_64_kib_is_414(port):
    (answer,) = asked(port, get(b"/?x=" + b"a" * (64 * KIB - 4)))
    assert refused(answer, 414, "at most 65535 bytes")
    assert answer.json()["instance"] == "/"


def test_a_url_of_32_mib_is_refused_before_it_is_sent(port):
    with connect(port, **SMALL) as client:
        sent = poured(client, b"GET /", b"a" * (64 * KIB), 32 * MIB)
        assert sent < MIB
        assert refused(answers_of(received(client))[0], 414, "URL")


def test_a_header_without_an_end_is_431_before_600_mib_are_sent(port):
    with connect(port, **SMALL) as client:
        sent = poured(client, b"GET / HTTP/1.1\r\nX: ", b"a" * (64 * KIB), 600 * MIB)
        assert sent < MIB
        assert refused(answers_of(received(client))[0], 431, "at most 32768 bytes and 100 fields")


def test_small_headers_without_an_end_are_431(port):
    with connect(port, **SMALL) as client:
        sent = poured(client, b"GET / HTTP/1.1\r\n" + HOST, b"a: b\r\n" * 10_000, 100 * MIB)
        assert sent < MIB
        assert refused(answers_of(received(client))[0], 431, "100 fields")


@pytest.mark.parametrize("headers", [b"a: b\r\n" * 99, b"a: %s\r\n" % (b"b" * 32 * KIB)])
def test_too_many_or_too_large_headers_are_431(port, headers):
    (answer,) = asked(port, get(more=headers))
    assert refused(answer, 431, "at most 32768 bytes and 100 fields")


def test_a_body_over_64_kib_is_413(port):
    (answer,) = asked(port, get(more=b"Content-Length: 65537\r\n"))
    assert refused(answer, 413, "at most 65536 bytes")


def test_a_body_in_chunks_is_411(port):
    (answer,) = asked(port, get(more=b"Transfer-Encoding: chunked\r\n") + b"5\r\n")
    assert refused(answer, 411, "Content-Length")


@pytest.mark.parametrize(
    ("hosts", "detail"),
    [
        (b"", "exactly one Host header; this one has 0"),
        (b"Host: a\r\nHost: a\r\n", "this one has 2"),
        (b"Host: \r\n", "HOST:PORT"),
        (b"Host: a b\r\n", "HOST:PORT"),
        (b"Host: a/b\r\n", "HOST:PORT"),
        (b"Host: user@a\r\n", "HOST:PORT"),
        (b"Host: [::1\r\n", "HOST:PORT"),
        (b"Host: a:8080x\r\n", "HOST:PORT"),
    ],
)
def test_a_request_has_one_host(port, hosts, detail):
    (answer,) = asked(port, b"GET /path?x=y HTTP/1.1\r\n" + hosts + b"\r\n")
    assert refused(answer, 400, detail)
    assert answer.json()["instance"] == "/path"


@pytest.mark.parametrize("host", [b"a", b"a.b:80", b"127.0.0.1:8080", b"[::1]:80", b"a_b.svc"])
def test_a_host_is_a_name_or_an_address(port, host):
    request = b"GET / HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n"
    assert asked(port, request)[0].status == 200


def test_http_1_0_needs_no_host(port):
    assert asked(port, b"GET / HTTP/1.0\r\n\r\n")[0].status == 200


@pytest.mark.parametrize(
    "bytes_", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"nonsense\r\n\r\n",
               b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
)  # fmt: skip
def test_what_is_not_http_is_400_and_not_logged(port, bytes_, caplog):
    (answer,) = asked(port, bytes_)
    assert refused(answer, 400, "not valid HTTP/1.1")
    assert caplog.records == []


def test_an_upgrade_is_ignored_and_not_logged(port, caplog):
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    (answer,) = asked(port, get(close=False, more=upgrade))
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert caplog.records == []


def counted(status):
    """Return how many were refused with a status."""
    labels = {"status": status}
    return REGISTRY.get_sample_value("sensorpipe_server_http_refused_total", labels) or 0


def test_each_refusal_is_counted(port):
    before = counted("414")
    asked(port, get(b"/" + b"a" * 65 * KIB))
    assert counted("414") == before + 1


def test_a_refusal_waits_for_the_answers_before_it(port, gated):
    with connect(port) as client:
        client.sendall(get(b"/slow", close=False) + get(close=False) + b"GET / HTTP/1.1\r\n\r\n")
        gated.wait_for(1)
        gated.open()
        slow, here, last = answers_of(received(client))
    assert (slow.body, here.body) == (b"slow", b"here")
    assert refused(last, 400, "exactly one Host")


def test_more_than_8_pipelined_requests_are_503(port, gated):
    with connect(port) as client:
        client.sendall(get(b"/slow", close=False) * 12)
        gated.wait_for(1)
        gated.open()
        *answered, last = answers_of(received(client))
    assert [answer.body for answer in answered] == [b"slow"] * 9
    assert refused(last, 503, "limit of 8 waiting requests")
    assert last.headers["retry-after"] == "5"


def test_more_than_64_requests_at_once_are_503(port, gated):
    clients = [connect(port) for _ in range(64)]
    for client in clients:
        client.sendall(get(b"/slow"))
    gated.wait_for(64)
    (answer,) = asked(port, get())
    assert refused(answer, 503, "limit of 64 requests")
    assert answer.headers["retry-after"] == "5"
    gated.open()
    for client in clients:
        with client:
            assert answers_of(received(client))[0].body == b"slow"
    assert asked(port, get())[0].status == 200


def test_requests_that_do_not_end_are_408(gated):
    parts = (b"", b"G", b"GET / HTTP/1.1\r\n" + HOST, b"\r\n" * 100)
    limits = HttpLimits(connections=2000, request_seconds=1)
    with serving(gated.app, limits) as port:
        clients = [connect(port) for _ in range(961)]
        for number, client in enumerate(clients):
            client.sendall(parts[number % len(parts)])
        for client in clients:
            with client:
                (answer,) = answers_of(received(client))
                assert refused(answer, 408, "not complete after 1 s")


def test_a_request_that_trickles_in_is_408_all_the_same(gated):
    with serving(gated.app, HttpLimits(request_seconds=0.5)) as port, connect(port) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(get(close=False))
        assert b"200 OK" in client.recv(65536)
        client.sendall(b"GET / HTTP/1.1\r\n")
        client.settimeout(0.05)
        answer = b""
        while not answer:
            client.sendall(b"a: b\r\n")
            try:
                answer = client.recv(65536)
            except TimeoutError:
                continue
        assert refused(answers_of(answer)[0], 408, "not complete after 0.5 s")


def test_a_body_that_does_not_come_ends_the_connection_after_the_answer(gated):
    with serving(gated.app, HttpLimits(request_seconds=0.2)) as port:
        answers = asked(port, get(close=False, more=b"Content-Length: 10\r\n") + b"body")
    assert [answer.body for answer in answers] == [b"here"]


def test_a_pipelined_request_has_its_time_once_it_can_be_read(gated):
    with serving(gated.app, HttpLimits(request_seconds=0.2)) as port, connect(port) as client:
        client.sendall(get(b"/slow", close=False) * 2 + b"GET / HTTP/1.1\r\n")
        gated.wait_for(1)
        with connect(port) as other:  # the same time passes
            assert answers_of(received(other))[0].status == 408
        client.sendall(HOST + b"Connection: close\r\n\r\n")
        gated.open()
        assert [answer.status for answer in answers_of(received(client))] == [200, 200, 200]


def test_connections_beyond_the_limit_are_503_and_far_beyond_it_closed(gated):
    limits = HttpLimits(connections=3, answered=2, linger_seconds=60)
    with serving(gated.app, limits) as port:
        within = [connect(port) for _ in range(3)]
        beyond = [connect(port) for _ in range(2)]
        for client in beyond:
            (answer,) = answers_of(received(client))
            assert refused(answer, 503, "limit of 3 connections")
            assert answer.headers["retry-after"] == "5"
        with connect(port) as client:
            assert received(client) == b""
        for client in within:
            client.sendall(get())
            assert answers_of(received(client))[0].status == 200
        for client in within + beyond:
            client.close()


def test_a_client_that_does_not_read_is_cut_off(gated):
    with (
        serving(gated.app, HttpLimits(unread_seconds=0.5)) as port,
        connect(port, SO_RCVBUF=4 * KIB) as client,
    ):
        before = counted("none")
        client.sendall(get(b"/large", close=False))
        start = client.recv(KIB)
        with connect(port) as other:  # still served meanwhile
            other.sendall(get())
            assert answers_of(received(other))[0].status == 200
        until(lambda: counted("none") > before)
        assert len(start + received(client)) < 16_000_000


def test_a_client_that_reads_slowly_gets_it_all(gated):
    with (
        serving(gated.app, HttpLimits(unread_seconds=30)) as port,
        connect(port, SO_RCVBUF=256 * KIB) as client,
    ):
        client.sendall(get(b"/large"))
        assert len(answers_of(received(client))[0].body) == 16_000_000
