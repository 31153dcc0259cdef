"""A client that has an answer already is told so; what is streamed is never held for long."""

import pytest
from sensorpipe_server.api.http.conditional import MAX_HELD_BYTES, Conditional, is_match, tag_of
from support.asgi import answer_of, pieces

TAG = tag_of(b"body")


def test_a_tag_is_weak_and_names_the_content():
    assert TAG == 'W/"Brchw4CyFgxQkD6fbGNrKA"'
    assert tag_of(b"bodY") != TAG


@pytest.mark.parametrize(
    "header", [TAG, TAG[2:], "*", " * ", f'"x", {TAG}', f'W/"x",{TAG[2:]} , "y"']
)
def test_a_tag_that_is_named(header):
    assert is_match(header, TAG)


@pytest.mark.parametrize("header", ["", '""', '"x"', TAG[2:-1], TAG.lower(), "**"])
def test_a_tag_that_is_not_named(header):
    assert not is_match(header, TAG)


async def asked(app, if_none_match="", **scope):
    headers = {"if-none-match": if_none_match} if if_none_match else {}
    return await answer_of(Conditional(app), headers, **scope)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_an_unchanged_answer_is_304_without_body(method):
    app = pieces(b"body", headers={"cache-control": "no-cache", "content-disposition": "x"})
    first = await asked(app, method=method)
    assert (first.status, first.headers["etag"], first.body) == (200, TAG, b"body")
    assert first.headers["content-length"] == "4"
    again = await asked(app, TAG, method=method)
    assert (again.status, again.body) == (304, b"")
    assert again.headers == {
        "etag": TAG, "cache-control": "no-cache", "vary": "Accept-Encoding"
    }  # fmt: skip
    assert (await asked(app, '"other"')).status == 200


async def test_an_answer_in_pieces_has_the_tag_of_the_whole():
    answer = await asked(pieces(b"bo", b"", b"dy"))
    assert (answer.headers["etag"], answer.body) == (TAG, b"body")
    assert answer.headers["content-length"] == "4"
    assert (await asked(pieces(b"bo", b"dy"), TAG)).status == 304


async def test_an_answer_that_is_too_large_to_hold_has_no_tag():
    large = b"x" * (MAX_HELD_BYTES // 2)
    whole = await asked(pieces(large, large, b""))
    assert "etag" in whole.headers
    passed = await asked(pieces(large, large, b"x", b"y"), "*")
    assert (passed.status, "etag" in passed.headers) == (200, False)
    assert passed.pieces == [large, large, b"x", b"y", b""]  # each is compressed by itself
    assert "content-length" not in passed.headers


async def test_an_answer_keeps_its_own_tag():
    app = pieces(b"body", headers={"etag": '"mine"'})
    assert (await asked(app)).headers["etag"] == '"mine"'
    assert (await asked(app, 'W/"mine"')).status == 304
    assert (await asked(app, TAG)).status == 200


async def test_a_stream_of_events_is_passed_on_at_once():
    answer = await asked(pieces(b"a", b"b", media_type="text/event-stream"), "*")
    assert (answer.status, answer.pieces) == (200, [b"a", b"b", b""])
    assert "etag" not in answer.headers


@pytest.mark.parametrize("status", [204, 400, 404, 500, 503])
async def test_other_answers_have_no_tag(status):
    answer = await asked(pieces(b"body", status=status), "*")
    assert (answer.status, answer.body) == (status, b"body")
    assert "etag" not in answer.headers
