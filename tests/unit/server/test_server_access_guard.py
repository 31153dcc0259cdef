"""The guard before an application: what passes, and what it changes of the answers."""

import pytest
from sensorpipe_server.api.access.access import Access
from sensorpipe_server.api.access.guard import Guard, caller_of
from sensorpipe_server.api.http.conditional import Conditional, tag_of
from starlette.routing import Route
from support.asgi import answer_of, pieces
from support.tokens import NOW, access_file, grant, token

KEPT = "public, max-age=9, immutable"


@pytest.fixture
def access(tmp_path):
    grants = grant(["read"], ["hall_*"], subject="*"), grant(["admin"], ["*"], subject="admin")
    return Access(access_file(tmp_path, *grants), clock=lambda: NOW)


def guard(access, app):
    scopes = [(Route("/data/{facility}", app), "read"), (Route("/open", app), None)]
    return Guard(app, access, scopes)


def sent(**changed):
    return {"authorization": f"Bearer {token(**changed)}"}


async def answered(access, path, headers=None, app=None, **options):
    app = app or Conditional(pieces(b"x", headers={"cache-control": KEPT, "vary": "Accept"}))
    return await answer_of(guard(access, app), headers, path=path, **options)


async def test_what_may_be_kept_is_kept_by_its_reader_only(access):
    answer = await answered(access, "/data/hall_1", sent())
    assert (answer.status, answer.body) == (200, b"x")
    assert answer.headers["cache-control"] == "private, max-age=9, immutable"
    assert answer.headers["vary"] == "Accept, Authorization"


async def test_an_open_path_is_as_it_was(access):
    answer = await answered(access, "/open")
    assert answer.headers["cache-control"] == KEPT
    assert answer.headers["vary"] == "Accept"
    assert answer.headers["etag"] == tag_of(b"x")


async def test_tags_of_the_same_content_differ_between_subjects(access):
    first = (await answered(access, "/data/a", sent(sub="a"))).headers["etag"]
    assert (await answered(access, "/data/a", sent(sub="b"))).headers["etag"] != first
    assert (await answered(access, "/data/a", sent(sub="a", exp=NOW + 9))).headers["etag"] == first


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "X"])
async def test_every_method_but_options_needs_a_token(access, method):
    assert (await answered(access, "/data/a", method=method)).status == 401
    assert (await answered(access, "/data/a", method="OPTIONS")).status == 200


async def test_the_application_is_told_what_may_be_read(access):
    seen = []

    async def app(scope, receive, send):
        seen.append(caller_of(scope))
        await pieces(b"")(scope, receive, send)

    await answered(access, "/data/a", sent(), app)
    await answered(access, "/open", app=app)
    restricted, free = seen
    assert (restricted.facilities.patterns, restricted.expires_at) == (("hall_*",), NOW + 3660)
    assert (free.facilities.is_all, free.expires_at) == (True, None)


async def test_foreign_text_stays_out_of_the_challenge(access):
    headers = sent(iss='evil"\r\nX: y')
    answer = await answered(access, "/data/a", headers)
    assert answer.status == 401
    assert "evil" not in answer.headers["www-authenticate"]
