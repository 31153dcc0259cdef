"""What all answers have in common: compression, tags, methods, CORS, headers."""

import gzip
import json

import pytest
from sensorpipe_server.api.http.middleware import HttpApplication
from sensorpipe_server.api.http.problems import HANDLERS
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from support.http_clients import asked, connect, get, received, serving
from support.server_parts import client_of, one, store

pytest_plugins = ["support.server_fixtures"]

PATHS = [
    "/api/sensors/facility_1",
    "/api/stats?sensors=temperature",
    "/api/facilities",
    "/api/integrity",
    "/openapi.json",
]
HERE = "https://dash.example.com"


@pytest.mark.parametrize("path", PATHS)
async def test_an_answer_is_304_until_it_changes(db, client, path):
    await store(db, one([(1, 1.0)]))
    first = await client.get(path)
    tag = {"If-None-Match": first.headers["etag"]}
    again = await client.get(path, headers=tag)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert first.headers["cache-control"] == again.headers["cache-control"] == "no-cache"
    await store(db, one([(2, 2.0)], window=1, number=2))
    changed = await client.get(path, headers=tag)
    assert (changed.status_code == 304) == (path == "/openapi.json")


async def test_a_tag_is_the_same_whether_an_answer_is_compressed(db, client):
    await store(db, *(one([(n, 1.0)], window=n, number=n) for n in range(1, 21)))
    answers = {}
    for coding in ("gzip", "identity"):
        answers[coding] = await client.get(PATHS[0], headers={"Accept-Encoding": coding})
        assert answers[coding].headers["vary"] == "Accept-Encoding"
    small, plain = answers["gzip"], answers["identity"]
    assert small.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert int(small.headers["content-length"]) < int(plain.headers["content-length"]) / 5
    assert small.headers["etag"] == plain.headers["etag"]
    assert small.json() == plain.json()


@pytest.mark.parametrize("path", [*PATHS, "/api/stats", "/nowhere"])
async def test_head_has_the_headers_of_get(db, client, path):
    await store(db, one([(1, 1.0)]))
    headers = {"Accept-Encoding": "gzip"}
    found, head = await client.get(path, headers=headers), await client.head(path, headers=headers)
    assert head.status_code == found.status_code
    assert dict(head.headers) == dict(found.headers)


@pytest.mark.parametrize("path", PATHS)
async def test_options_names_what_is_allowed(client, path):
    answer = await client.options(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    other = await client.post(path)
    assert (other.status_code, other.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert other.json()["detail"] == "POST is not allowed; use GET"


async def test_options_of_an_unknown_path_is_404(client):
    assert (await client.options("/nowhere")).status_code == 404


async def test_no_other_origin_may_read_by_default(client):
    answer = await client.get("/api/facilities", headers={"Origin": HERE})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    ask = {"Origin": HERE, "Access-Control-Request-Method": "GET"}
    preflight = await client.options("/api/facilities", headers=ask)
    assert preflight.status_code == 204
    assert not [name for name in preflight.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/api/facilities", "/api/stats", "/nowhere"])
async def test_an_allowed_origin_may_read_answers_and_problems(db, path):
    async with client_of(db, cors_origins=(HERE, "http://localhost:3000")) as client:
        answer = await client.get(path, headers={"Origin": HERE})
        assert answer.headers["access-control-allow-origin"] == HERE
        assert "Origin" in answer.headers["vary"]
        exposed = answer.headers["access-control-expose-headers"].split(", ")
        assert {"ETag", "Retry-After", "Content-Disposition", "Sensorpipe-Every"} <= set(exposed)
        for origin in ("https://evil.example", "null", HERE + ".evil.example"):
            other = await client.get(path, headers={"Origin": origin})
            assert "access-control-allow-origin" not in other.headers
            assert "Origin" in other.headers["vary"]


async def test_a_browser_may_ask_before_it_sends_a_header(db):
    async with client_of(db, cors_origins=(HERE,)) as client:
        ask = {
            "Origin": HERE,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization,if-none-match,last-event-id",
        }
        preflight = await client.options("/api/facilities", headers=ask)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == HERE
        assert preflight.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
        for wrong in (
            {"Origin": "https://evil.example"},
            {"Access-Control-Request-Method": "DELETE"},
            {"Access-Control-Request-Headers": "cookie"},
        ):
            refused = await client.options("/api/facilities", headers=ask | wrong)
            assert refused.status_code == 400
        assert (await client.options("/api/facilities")).status_code == 204


async def test_all_origins_may_read(db):
    async with client_of(db, cors_origins=("*",)) as client:
        answer = await client.get("/api/facilities", headers={"Origin": "https://any.example"})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers


async def broken(_request: Request) -> Response:
    raise RuntimeError("broken")


async def large(_request: Request) -> Response:
    return Response(b'{"a": 1}\n' * 100_000, media_type="application/json")


@pytest.fixture
def port():
    routes = [Route("/large", large), Route("/broken", broken)]
    with serving(HttpApplication(routes, HANDLERS, (HERE,))) as listening:
        yield listening


ORIGIN = f"Origin: {HERE}\r\n".encode()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (get(b"/large"), 200),
        (get(b"/broken"), 500),
        (get(b"/nowhere"), 404),
        (get(b"/large").replace(b"GET", b"POST"), 405),
        (get(b"/large").replace(b"GET", b"OPTIONS"), 204),
        (get(b"/large", more=b"Transfer-Encoding: chunked\r\n"), 411),
        (get(b"/" + b"x" * 70_000), 414),
        (b"no HTTP\r\n\r\n", 400),
    ],
)
def test_browsers_neither_guess_the_type_of_any_answer_nor_tell_its_url(port, request_, status):
    (answer,) = asked(port, request_)
    assert answer.status == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_a_failure_of_the_server_can_be_read_by_an_allowed_origin(port):
    (answer,) = asked(port, get(b"/broken", more=ORIGIN))
    assert answer.status == 500
    assert answer.json()["detail"] == "The server failed to answer; see its log"
    assert answer.headers["access-control-allow-origin"] == HERE


def test_head_of_a_compressed_answer_has_no_body(port):
    accept = b"Accept-Encoding: gzip\r\n"
    (answer,) = asked(port, get(b"/large", more=accept))
    assert len(json.loads(b"[" + gzip.decompress(answer.body).replace(b"\n", b",")[:-1] + b"]"))
    head = get(b"/large", close=False, more=accept).replace(b"GET", b"HEAD")
    tag = f"If-None-Match: {answer.headers['etag']}\r\n".encode()
    assert len(answer.body) == int(answer.headers["content-length"])
    (again,) = asked(port, get(b"/large", more=accept + tag))
    assert (again.status, again.body) == (304, b"")
    assert head_of(port, head)["content-length"] == answer.headers["content-length"]


def head_of(port, request_):
    """Return the headers of the answer to a HEAD; no byte of a body follows them."""
    with connect(port) as client:
        client.sendall(request_ + get(b"/nowhere"))
        first, _, rest = received(client).partition(b"\r\n\r\n")
    assert rest.startswith(b"HTTP/1.1 404")
    lines = first.decode().split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
