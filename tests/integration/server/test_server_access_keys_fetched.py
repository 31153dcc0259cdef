"""Keys of an issuer that are fetched by HTTPS: discovery, bounds, rotation, and its absence."""

import asyncio

import pytest
from sensorpipe_server.access.rules import parse
from sensorpipe_server.api.access import discovery
from sensorpipe_server.api.access.discovery import FetchError, fetch_keys
from support.issuers import HttpsIssuer, answer_of, certify
from support.tokens import private_key

CHUNKED = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % (
    (b"10000\r\n%b\r\n" % (b"x" * 65536)) * 5
)
DISCOVERY = "/realms/plant/.well-known/openid-configuration"


@pytest.fixture
async def issuer(tmp_path):
    async with HttpsIssuer(tmp_path) as made:
        yield made


def fetched(issuer, ca_file=None):
    rules = parse({"issuers": [issuer.entry()]})
    return fetch_keys(rules.issuers[0], ca_file or issuer.ca_file)


async def failure(issuer, **options):
    with pytest.raises(FetchError) as caught:
        await fetched(issuer, **options)
    return str(caught.value)


async def test_keys_are_found_by_discovery(issuer):
    issuer.keys = (private_key("a"), private_key("b", "ES256"))
    assert [each.kid for each in await fetched(issuer)] == ["a", "b"]
    assert issuer.requests == [DISCOVERY, "/keys"]


async def test_only_an_issuer_with_a_trusted_certificate_is_believed(issuer, tmp_path):
    (tmp_path / "other").mkdir()
    certify(tmp_path / "other")
    assert "CERTIFICATE_VERIFY_FAILED" in await failure(
        issuer, ca_file=tmp_path / "other/issuer.crt"
    )
    assert issuer.requests == []


@pytest.mark.parametrize(
    ("path", "answer", "why"),
    [
        (DISCOVERY, answer_of(None), "answered with status 404"),
        (DISCOVERY, answer_of(b"", 302, "Location: /keys"), "answered with status 302"),
        (DISCOVERY, answer_of(b"x"), "is not JSON"),
        (DISCOVERY, answer_of(b"[" * 100_000), "is not JSON"),
        (DISCOVERY, answer_of(b"{}"), "is of the issuer None"),
        (DISCOVERY, answer_of(b'{"issuer": "https://evil.example"}'), "'https://evil.example'"),
        ("/keys", answer_of(None), "answered with status 404"),
        ("/keys", answer_of(b"[]"), "must be a JSON Web Key Set"),
        ("/keys", answer_of(b"x" * 300_000), "answered with more than 256 KiB"),
        ("/keys", CHUNKED, "answered with more than 256 KiB"),
        ("/keys", b"HTTP/1.1 200 X\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", ""),
        ("/keys", b"nonsense\r\n\r\n", ""),
    ],
)  # fmt: skip
async def test_an_answer_that_is_not_right_is_named(issuer, path, answer, why):
    issuer.changed[path] = answer
    assert why in await failure(issuer)


@pytest.mark.parametrize(
    "address", ['"http://127.0.0.1/keys"', "1", '"file:///etc/passwd"', "null"]
)
async def test_keys_come_by_https_only(issuer, address):
    body = f'{{"issuer": "{issuer.url}", "jwks_uri": {address}}}'.encode()
    issuer.changed[DISCOVERY] = answer_of(body)
    assert "has no jwks_uri that begins with https://" in await failure(issuer)


async def test_an_issuer_that_says_nothing_is_given_up(issuer, monkeypatch):
    monkeypatch.setattr(discovery, "FETCH_SECONDS", 0.2)
    issuer.changed["/keys"] = b"HTTP/1.1 200 X\r\nContent-Length: 5\r\n\r\n"
    assert "no answer within 0.2 s" in await failure(issuer)


async def test_an_issuer_that_is_away_is_named(issuer):
    await issuer.stop()
    assert "connect" in (await failure(issuer)).lower()
    await issuer.start()
    assert await asyncio.wait_for(fetched(issuer), 60)
