"""Answers are compressed for who accepts it, also those in pieces, and never a stream of events."""

import asyncio
import gzip
import threading
import zlib

import pytest
from sensorpipe_server.api.http.compression import Compression, accepts_gzip
from support.asgi import answer_of, pieces

TEXT = b'{"temperature": 21.5}\n' * 1000


@pytest.mark.parametrize(
    "header",
    ["gzip", "gzip, deflate, br", "GZIP", "deflate;q=0.5, gzip;q=1.0", "*", "br, *;q=0.1",
     "gzip;q=0.5, identity;q=0.5", "gzip;q=0.001", "identity;q=0, gzip"],
)  # fmt: skip
def test_who_accepts_gzip(header):
    assert accepts_gzip(header)


@pytest.mark.parametrize(
    "header",
    ["", "identity", "br", "deflate", "gzip;q=0", "gzip; q=0.000", "*;q=0", "gzip;q=0, *",
     "identity, gzip;q=0.5", "gzip;q=x", "gzip;q=2", "gzip;q=-1", "agzip", "x;gzip"],
)  # fmt: skip
def test_who_does_not_accept_gzip(header):
    assert not accepts_gzip(header)


async def compressed(app, accept="gzip"):
    return await answer_of(Compression(app), {"accept-encoding": accept})


async def test_an_answer_of_1_kb_is_compressed():
    for length, is_compressed in ((999, False), (1000, True)):
        answer = await compressed(pieces(b"a" * length))
        assert (answer.headers.get("content-encoding") == "gzip") is is_compressed
        assert answer.headers["content-length"] == str(len(answer.body))
        body = gzip.decompress(answer.body) if is_compressed else answer.body
        assert body == b"a" * length


async def test_the_level_is_that_of_little_work():
    answer = await compressed(pieces(TEXT))
    made = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    assert answer.body == made.compress(TEXT) + made.flush()
    assert answer.headers["vary"] == "Accept-Encoding"


async def test_who_does_not_accept_it_gets_the_plain_answer_and_caches_are_told():
    answer = await compressed(pieces(TEXT), accept="gzip;q=0, *;q=0.5")
    assert answer.body == TEXT
    assert "content-encoding" not in answer.headers
    assert answer.headers["vary"] == "Accept-Encoding"


async def test_each_piece_of_an_answer_can_be_read_when_it_comes():
    answer = await compressed(pieces(b"first", b"second"))
    assert answer.headers["content-encoding"] == "gzip"
    reader = zlib.decompressobj(16 + zlib.MAX_WBITS)
    assert [reader.decompress(each) for each in answer.pieces[:2]] == [b"first", b"second"]
    assert gzip.decompress(answer.body) == b"firstsecond"


@pytest.mark.parametrize("media_type", ["text/event-stream", "text/event-stream; charset=utf-8"])
async def test_a_stream_of_events_is_never_compressed(media_type):
    answer = await compressed(pieces(TEXT, TEXT, media_type=media_type))
    assert answer.pieces[:2] == [TEXT, TEXT]
    assert "content-encoding" not in answer.headers


async def test_a_large_answer_is_compressed_in_a_thread(monkeypatch):
    threads = []
    compressobj = zlib.compressobj

    def watched(*args):
        threads.append(threading.current_thread())
        return compressobj(*args)

    monkeypatch.setattr(zlib, "compressobj", watched)
    answer = await compressed(pieces(TEXT * 100))
    assert gzip.decompress(answer.body) == TEXT * 100
    assert threads
    assert threading.current_thread() not in threads
    await asyncio.get_running_loop().shutdown_default_executor()
