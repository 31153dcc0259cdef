"""The limits of the HTTP server and the answers beyond them, without a socket."""

import json
import resource
from http import HTTPStatus

import pytest
from sensorpipe_server.api.http.limits import HttpLimits, Refusal, connection_limit, refusal_of

LIMITS = HttpLimits()


@pytest.mark.parametrize(
    ("open_files", "connections"),
    [(256, 128), (1024, 512), (1_048_576, 1500), (resource.RLIM_INFINITY, 1500)],
)
def test_connections_leave_half_of_the_files(open_files, connections):
    assert connection_limit(open_files) == connections


def test_a_refusal_names_the_path_as_far_as_it_was_read_and_no_more():
    refusal = Refusal(HTTPStatus.REQUEST_URI_TOO_LONG, "too long")
    head, _, body = refusal.response(b"/" + b"a" * 65_536, [(b"date", b"today")]).partition(
        b"\r\n\r\n"
    )
    assert head.startswith(b"HTTP/1.1 414 ")
    assert b"\r\ndate: today\r\n" in head
    assert b"retry-after" not in head
    assert json.loads(body)["instance"] == "/" + "a" * 199
    assert json.loads(refusal.response(b"", []).partition(b"\r\n\r\n")[2])["instance"] == "/"


def test_only_a_503_says_when_to_ask_again():
    refusal = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "busy")
    assert b"\r\nretry-after: 5\r\n" in refusal.response(b"/", [])


def test_a_body_within_the_limit_and_a_missing_host_of_http_1_0_are_allowed():
    host = (b"host", b"server:8080")
    assert refusal_of(LIMITS, "1.1", [host, (b"content-length", b"65536")]) is None
    assert refusal_of(LIMITS, "1.0", []) is None
    two = refusal_of(LIMITS, "1.0", [host, host])
    assert two is not None
    assert two.status == HTTPStatus.BAD_REQUEST
