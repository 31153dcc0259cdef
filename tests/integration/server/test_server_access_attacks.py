"""Forged, foreign, old and oversized tokens at the running program: answer and metric of each."""

import asyncio
import base64
import hmac
import time

import pytest
import pytest_asyncio
from support.issuers import HttpsIssuer
from support.server_process import Server
from support.tokens import (
    SECRET,
    access_file,
    claims,
    forged,
    grant,
    private_key,
    public_forms,
    secret_token,
    signed,
)
from support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/api/facilities"
LOCAL = "sensorpipe"
"""The issuer with a shared secret."""
HOUR = 3600


class Program:
    """The program with an issuer that is asked for its keys, and one with a shared secret."""

    def __init__(self, issuer, client, probes):
        self.issuer = issuer
        self.client = client
        self._probes = probes

    def claims(self, **changed):
        now = time.time()
        return claims(**{"iss": self.issuer.url, "exp": now + HOUR, "iat": now} | changed)

    async def get(self, token):
        return await self.client.get(PATH, headers={"Authorization": f"Bearer {token}"})

    async def metric(self, name):
        """Return a metric by the values of its label."""
        lines = (await self._probes.get("/metrics")).text.splitlines()
        found = [each.rpartition(" ") for each in lines if each.startswith(f"{name}{{")]
        return {text.split('"')[1]: float(value) for text, _, value in found}

    async def refused(self):
        return await self.metric("sensorpipe_server_access_refused_total")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("program")
    (folder / "secret").write_text(SECRET)
    local = {"issuer": LOCAL, "audiences": ["sensorpipe"], "secretFile": "secret"}
    server = Server(folder)
    async with HttpsIssuer(folder) as issuer:
        grants = [
            grant(["read"], ["*"], subject="somebody", issuer=each) for each in (issuer.url, LOCAL)
        ]
        path = access_file(folder, *grants, issuers=[issuer.entry(), local])
        async with server.restricted(path) as (client, probes):
            made = Program(issuer, client, probes)
            assert (await made.get(signed(made.claims()))).status_code == 200
            yield made


def with_mac(content, public):
    """Return a token that is signed as if the issuer's public key was a shared secret."""
    head = forged({"alg": "HS256", "kid": "key-1"}, content).rpartition(".")[0]
    mac = hmac.digest(public, head.encode(), "sha256")
    return f"{head}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def with_part(token, number, other):
    """Return a token with one of its parts in the place of that of another one."""
    parts = token.split(".")
    parts[number] = other.split(".")[number]
    return ".".join(parts)


def attacks(good):
    """Return by name a token, the reason of its refusal, and what its sender is told."""
    pem, der = public_forms(private_key())
    admin = {**good, "sub": "admin"}
    own = private_key("attacker")
    public = own.as_dict(private=False)
    return {
        "none": (forged({"alg": "none"}, good), "algorithm", "algorithm is not one of"),
        "None": (forged({"alg": "None"}, good, b"x"), "algorithm", "algorithm is not one of"),
        "HS256 with the public key": (
            with_mac(good, pem),
            "algorithm",
            "algorithm is not one of",
        ),
        "HS256 with its DER": (
            with_mac(good, der),
            "algorithm",
            "algorithm is not one of",
        ),
        "RS256 for the shared secret": (
            signed({**good, "iss": LOCAL}, private_key()),
            "algorithm",
            "its issuer's keys: HS256",
        ),
        "another secret": (
            secret_token(b"y" * 40, **{**good, "iss": LOCAL}),
            "signature",
            "signature does not match",
        ),
        "ES256 that is RS256": (
            with_part(signed(good), 0, forged({"alg": "ES256", "kid": "key-1"}, {})),
            "algorithm",
            "algorithm is not one of",
        ),
        "RS512 that is RS256": (
            with_part(signed(good), 0, forged({"alg": "RS512", "kid": "key-1"}, {})),
            "signature",
            "signature does not match",
        ),
        "changed claims": (
            with_part(signed(good), 1, forged({}, admin)), "signature", "signature does not match"
        ),
        "no signature": (signed(good).rpartition(".")[0] + ".", "signature", "does not match"),
        "another key of the same name": (
            signed(good, own, kid="key-1"), "signature", "signature does not match"
        ),
        "a key that the token brings": (
            signed(good, own, kid="key-1", jwk=public), "signature", "signature does not match"
        ),
        "an unknown key": (signed(good, own, kid="unknown"), "key", "no key with its kid"),
        "an extension": (forged({"alg": "RS256", "crit": ["exp"]}, good), "malformed", "crit"),
        "audience": (signed({**good, "aud": "other"}), "audience", "aud must have sensorpipe"),
        "no audience": (signed({**good, "aud": []}), "audience", "aud must have sensorpipe"),
        "issuer": (signed({**good, "iss": "https://x"}), "issuer", "not one of this API"),
        "no issuer": (signed({**good, "iss": None}), "claims", "no claim iss"),
        "expired": (signed({**good, "exp": time.time() - 61}), "expired", "has expired"),
        "no expiry": (signed({**good, "exp": None}), "claims", "no claim exp"),
        "expiry as text": (signed({**good, "exp": "never"}), "claims", "no claim exp"),
        "not yet": (signed({**good, "nbf": time.time() + 90}), "not_yet", "not valid yet"),
        "from the future": (signed({**good, "iat": time.time() + 90}), "not_yet", "not valid"),
        "oversized": (signed({**good, "x": "x" * 16_000}), "too_large", "16384 bytes"),
        "an oversized header": (signed(good, x="x" * 5000), "too_large", "4096 bytes"),
        "no subject": (signed({**good, "sub": None}), "claims", "no subject"),
        "no JWT": ("a.b", "malformed", "HEADER.CLAIMS.SIGNATURE"),
    }  # fmt: skip


async def test_each_forgery_has_its_answer_and_its_metric(program):
    before = await program.refused()
    expected = dict(before)
    for name, (token, reason, detail) in attacks(program.claims()).items():
        answer = await program.get(token)
        assert answer.status_code == 401, name
        problem = answer.json()
        assert detail in problem["detail"], name
        assert 'error="invalid_token"' in answer.headers["www-authenticate"], name
        assert token not in answer.text
        expected[reason] = expected.get(reason, 0) + 1
    await eventually(lambda: is_equal(program.refused, expected))
    assert (await program.get(signed(program.claims()))).status_code == 200


async def test_a_flood_of_unknown_keys_neither_asks_the_issuer_nor_delays_others(program):
    asked = program.issuer.key_requests
    before = await program.refused()
    good = signed(program.claims())
    key = private_key("attacker")
    tokens = [signed(program.claims(), key, kid=f"flood-{number}") for number in range(300)]

    async def flood(some):
        return [(await program.get(each)).status_code for each in some]

    async def others():
        return [(await program.get(good)).status_code for _ in range(30)]

    answers, *floods = await asyncio.gather(others(), *(flood(tokens[n::10]) for n in range(10)))
    assert answers == [200] * 30
    statuses = [each for some in floods for each in some]
    # while the issuer is asked, no more than a few wait
    assert set(statuses) <= {401, 503}
    assert statuses.count(401) > 200
    # once in 30 s at most
    assert program.issuer.key_requests - asked <= 2
    expected = {**before, "key": before.get("key", 0) + statuses.count(401)}
    if unknown := statuses.count(503):
        expected["no_keys"] = before.get("no_keys", 0) + unknown
    await eventually(lambda: is_equal(program.refused, expected))


async def is_equal(read, expected):
    return await read() == expected
