"""When the client repeats a request, and with which error it gives up."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sensorpipe_client import (
    AnswerError,
    ApiError,
    AsyncClient,
    Client,
    ConnectionFailedError,
    Retries,
)
from sensorpipe_client.calls import Failure, Pause, Reply, Request, call
from sensorpipe_client.times import time_text

URL = "http://server/api/facilities"
ASKED = Request("/api/facilities")


def reply(status, body=b"", **headers):
    return Reply(
        URL, status, {name.replace("_", "-"): text for name, text in headers.items()}, body
    )


def run(outcomes, retries=None, decode=bytes):
    """Return the answer of a call that has these outcomes, and the pauses between them."""
    steps, pauses = call(ASKED, retries or Retries(), decode), []
    left = iter(outcomes)
    outcome = None
    try:
        while True:
            step = steps.send(outcome)
            outcome = None
            if isinstance(step, Pause):
                pauses.append(step.seconds)
            else:
                assert step == ASKED
                outcome = next(left)
    except StopIteration as end:
        assert not list(left)
        return end.value, pauses


BUSY = reply(503, b'{"detail":"busy"}', retry_after="5")
GONE = Failure(URL, "connection refused")


def test_an_answer_is_returned_at_once():
    assert run([reply(200, b"x")]) == (b"x", [])


def test_503_and_429_are_repeated_no_earlier_than_retry_after_says():
    assert run([BUSY, reply(429, retry_after="1"), reply(200, b"x")]) == (b"x", [5.0, 1.0])


def test_a_lost_connection_is_repeated_after_growing_pauses():
    assert run([GONE, GONE, GONE, GONE, reply(200, b"x")]) == (b"x", [0.5, 1.0, 2.0, 4.0])


def test_retry_after_may_be_a_date_which_is_compared_with_that_of_the_answer():
    busy = reply(
        503,
        retry_after="Fri, 27 Nov 2026 10:00:07 GMT",
        date="Fri, 27 Nov 2026 10:00:00 GMT",
    )
    assert run([busy, reply(200, b"x")]) == (b"x", [7.0])


@pytest.mark.parametrize("text", ["", "soon", "-5", "٣", "1e9", "Fri, 27 Nov 2026 10:00:07 GMT"])
def test_without_a_usable_retry_after_the_pause_is_that_of_the_client(text):
    assert run([reply(503, retry_after=text), reply(200, b"x")]) == (b"x", [0.5])


def test_it_gives_up_after_so_many_times_with_the_last_error():
    with pytest.raises(ConnectionFailedError, match=r"/api/facilities: connection refused"):
        run([BUSY, GONE], Retries(times=1))
    with pytest.raises(ApiError, match=r"/api/facilities: 503 busy") as raised:
        run([GONE, BUSY], Retries(times=1))
    assert (raised.value.status, raised.value.detail) == (503, "busy")


def test_it_does_not_wait_longer_than_it_may():
    with pytest.raises(ApiError):
        run([reply(503, retry_after="3600")], Retries(seconds=30))
    with pytest.raises(ApiError):
        run([BUSY, BUSY], Retries(seconds=9))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 500, 501, 304, 204])
def test_other_errors_are_not_repeated(status):
    with pytest.raises(ApiError) as raised:
        run([reply(status)])
    assert raised.value.status == status


def test_an_error_has_all_problems_and_says_where():
    body = b'{"type":"about:blank","detail":"a; b","errors":["a","b"],"more":1}'
    with pytest.raises(ApiError) as raised:
        run([reply(400, body)])
    assert raised.value.errors == ("a", "b")
    assert str(raised.value) == f"{URL}: 400 a; b"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"detail": 3}', b"\xff"])
def test_an_error_of_something_else_has_the_status_in_words(body):
    with pytest.raises(ApiError) as raised:
        run([reply(404, body)])
    assert raised.value.errors == ("Not Found",)


def test_an_answer_of_something_else_is_refused():
    import msgspec

    with pytest.raises(AnswerError, match="not the answer of a sensorpipe server"):
        run([reply(200, b"<html>")], decode=msgspec.json.decode)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("-7d", "-7d"),
        (timedelta(hours=1), "-3600s"),
        (timedelta(milliseconds=1), "-1s"),
        (date(2026, 11, 27), "2026-11-27"),
        (datetime(2026, 11, 27, 10, tzinfo=UTC), "2026-11-27T10:00:00+00:00"),
        (1795514400, "1795514400"),
        (1795514400.5, "1795514400.5"),
    ],
)
def test_times_as_people_have_them(value, text):
    assert time_text("since", value) == text


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (datetime(2026, 11, 27), "must have a time zone"),  # noqa: DTZ001  that is the point
        (timedelta(hours=-1), "must be a time before now"),
        (float("nan"), "must be a time"),
        (True, "must be a time"),
    ],
)
def test_times_that_mean_nothing_name_the_argument(value, why):
    with pytest.raises(ValueError, match=f"^since {why}"):
        time_text("since", value)


@pytest.mark.parametrize(
    "url",
    [
        "", "server:8080", "ftp://server", "http://", "http://[", "/api", "http://server:port",
        "http://a\nb", f"http://{'a' * 64}", "http://a..b", "http://a?b=1", "http://a#b",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ValueError, match="url must be http://HOST:PORT or https://HOST:PORT"):
        Client(url)


def test_a_token_is_not_shown():
    from sensorpipe_client.connection import Connection

    assert "secret" not in repr(Connection(url="http://server", token="secret"))


@pytest.mark.parametrize("token", ["a\nb", "ä"])
def test_a_token_that_no_header_can_hold_is_refused_and_not_shown(token):
    with pytest.raises(ValueError, match=r"^token must be of printable ASCII characters$"):
        Client(token=token)


def test_certificates_that_cannot_be_used_are_named(tmp_path):
    file = tmp_path / "ca.pem"
    with pytest.raises(ValueError, match=r"^ca_file '.*ca\.pem' cannot be used: .*No such file"):
        Client("https://server", ca_file=file)
    file.write_text("none")
    with pytest.raises(ValueError, match=r"^ca_file '.*ca\.pem' cannot be used: "):
        Client("https://server", ca_file=file)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_proxy_that_is_no_url_is_an_error_of_the_environment(kind, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "::bad")
    with pytest.raises(ValueError, match=r"^the environment names a proxy that is no URL: "):
        kind("https://server")


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_timeout_that_is_none_is_refused(seconds):
    with pytest.raises(ValueError, match=r"^timeout must be above 0 and at most a day; got "):
        Client(timeout=seconds)


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_facility_that_would_be_another_path_is_refused(name):
    with Client() as client, pytest.raises(ValueError, match=r"^facility must be a name; got "):
        next(client.windows(name))


def test_a_password_in_the_address_is_not_shown():
    from sensorpipe_client.connection import Connection

    shown = Connection(url="http://user:secret@server/pipe/").full_address(ASKED)
    assert shown == "http://server/pipe/api/facilities"
