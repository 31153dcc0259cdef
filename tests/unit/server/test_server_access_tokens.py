"""Tokens: good ones say whose they are, and forged, foreign or old ones are refused with why."""

import base64
import hashlib
import hmac
import json

import pytest
from sensorpipe_server.access.keys import secret_key
from sensorpipe_server.access.rules import parse
from sensorpipe_server.access.tokens import MAX_TOKEN_BYTES, RefusedError, bearer
from support.tokens import (
    AUDIENCE,
    ISSUER,
    KINDS,
    NOW,
    SECRET,
    claims,
    forged,
    private_key,
    public_forms,
    secret_token,
    signed,
    token,
    verified,
    verifying,
)

PATHS = {"groups": "/groups", "scopes": "/scope", "facilities": "/own/facilities"}


def issuer(name=ISSUER, **where):
    one = {"issuer": name, "audiences": [AUDIENCE, "second"], "jwksFile": "x", "claims": where}
    return parse({"issuers": [one]}).issuers[0]


def checked(text, keys=None, now=NOW, **where):
    """Return whose a token is."""
    keys = verifying(private_key()) if keys is None else keys
    return verified(text, issuer(**where), keys, now)


def refusal(text, keys=None, now=NOW, **where):
    """Return why a token is refused."""
    with pytest.raises(RefusedError) as caught:
        checked(text, keys, now, **where)
    return caught.value.reason


def test_a_good_token_says_whose_it_is():
    found = checked(token())
    assert (found.issuer, found.subject, found.expires_at) == (ISSUER, "somebody", NOW + 3660)
    assert (found.groups, found.scopes, found.facilities) == (set(), set(), ())


@pytest.mark.parametrize("algorithm", [*KINDS, "RS512", "PS256", "EdDSA"])
def test_each_algorithm_of_a_key_is_accepted(algorithm):
    kind = {"EdDSA": "Ed25519", "RS512": "RS256", "PS256": "RS256"}.get(algorithm, algorithm)
    key = private_key("a", kind)
    header = {"alg": algorithm}
    if algorithm == "EdDSA":
        with pytest.warns(match="EdDSA is deprecated"):  # that the signing library says so
            made = signed(claims(), key, **header)
    else:
        made = signed(claims(), key, **header)
    assert checked(made, verifying(key)).subject == "somebody"


def test_unsigned_tokens_are_refused():
    for name in ("none", "None", "NONE", ""):
        assert refusal(forged({"alg": name, "kid": "key-1"}, claims())) == "algorithm"
    header, content, _ = token().split(".")
    assert refusal(f"{header}.{content}.") == "signature"


def test_a_public_key_is_never_a_shared_secret():
    for public in (*public_forms(private_key()), b""):
        for algorithm, digest in (("HS256", "sha256"), ("HS512", "sha512")):
            head = forged({"alg": algorithm, "kid": "key-1"}, claims()).rpartition(".")[0]
            mac = hmac.digest(public, head.encode(), digest)
            made = f"{head}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
            assert refusal(made) == "algorithm"


def test_a_shared_secret_verifies_hs256_only():
    keys = secret_key(SECRET.encode())
    assert checked(secret_token(), keys, name="sensorpipe").subject == "somebody"
    assert refusal(secret_token(b"x" * 32), keys, name="sensorpipe") == "signature"
    assert refusal(token(iss="sensorpipe"), keys, name="sensorpipe") == "algorithm"
    made = forged({"alg": "HS512"}, claims(iss="sensorpipe"), hashlib.sha512(b"").digest())
    assert refusal(made, keys, name="sensorpipe") == "algorithm"


def test_keys_in_the_token_are_not_used():
    attacker = private_key("attacker")
    own = attacker.as_dict(private=False)
    made = signed(claims(), attacker, kid="key-1", jwk=own, jku="https://evil.example/keys")
    assert refusal(made) == "signature"


def test_another_type_of_key_does_not_verify():
    assert refusal(signed(claims(), private_key("key-1", "ES256"), alg="ES256")) == "algorithm"
    keys = verifying(private_key(), private_key("other", "ES256"))
    made = signed(claims(), private_key("mine", "ES256"), alg="ES256", kid="key-1")
    assert refusal(made, keys) == "key"


def test_a_changed_token_is_refused():
    header, content, signature = token().split(".")
    other = forged({}, claims(sub="admin")).split(".")[1]
    assert refusal(f"{header}.{other}.{signature}") == "signature"
    assert refusal(f"{header}.{content}.{signature[:-8]}{'A' * 8}") == "signature"


def test_an_unknown_kid_is_refused_and_none_is_tried_with_all_keys():
    keys = verifying(private_key("a"), private_key("b"))
    assert refusal(signed(claims(), private_key("c")), keys) == "key"
    assert checked(signed(claims(), private_key("b"), kid=None), keys).subject == "somebody"
    assert refusal(signed(claims(), private_key("c"), kid=None), keys) == "signature"


def test_extensions_that_must_be_understood_are_refused():
    assert refusal(signed(claims(), crit=["b64"], b64=True)) == "malformed"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"iss": "https://other.example"}, "issuer"),
        ({"iss": None}, "claims"),
        ({"iss": [ISSUER]}, "claims"),
        ({"aud": "other"}, "audience"),
        ({"aud": ["other", 1]}, "audience"),
        ({"aud": []}, "audience"),
        ({"aud": None}, "audience"),
        ({"aud": {"sensorpipe": 1}}, "audience"),
        ({"exp": None}, "claims"),
        ({"exp": str(NOW + 100)}, "claims"),
        ({"exp": True}, "claims"),
        ({"exp": 10**400}, "claims"),
        ({"exp": 1e300}, "claims"),
        ({"exp": NOW - 60}, "expired"),
        ({"exp": 0}, "expired"),
        ({"nbf": NOW + 61}, "not_yet"),
        ({"nbf": "soon"}, "claims"),
        ({"iat": NOW + 61}, "not_yet"),
        ({"sub": None}, "claims"),
        ({"sub": ""}, "claims"),
        ({"sub": 1}, "claims"),
        ({"sub": "x" * 1025}, "claims"),
    ],
)
def test_claims_that_are_not_right(changed, reason):
    assert refusal(token(**changed)) == reason


@pytest.mark.parametrize(
    "changed",
    [{"aud": "sensorpipe"}, {"aud": ["x", "second"]}, {"exp": NOW - 59}, {"nbf": NOW + 60},
     {"iat": NOW + 60}, {"iat": None}, {"exp": NOW + 0.5}],
)  # fmt: skip
def test_claims_that_are_just_right(changed):
    assert checked(token(**changed)).subject == "somebody"


def test_the_subject_groups_scopes_and_facilities_are_where_the_issuer_puts_them():
    own = {"facilities": ["hall_1"]}
    made = token(groups=["a", "b"], scope="read write metrics", own=own, email="a@b")
    found = checked(made, subject="/email", **PATHS)
    assert (found.subject, found.groups) == ("a@b", {"a", "b"})
    assert (found.scopes, found.facilities) == ({"read", "metrics"}, ("hall_1",))
    one = checked(token(groups="a"), **PATHS)
    assert (one.groups, one.scopes) == ({"a"}, set())


@pytest.mark.parametrize("wrong", [{"groups": [1]}, {"groups": {}}, {"groups": ["x"] * 1001},
                                   {"scope": 1}, {"own": {"facilities": [[]]}}])  # fmt: skip
def test_lists_of_something_else_are_refused(wrong):
    assert refusal(token(**wrong), **PATHS) == "claims"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x", "malformed"),
        ("a.b", "malformed"),
        ("a.b.c.d.e", "malformed"),
        ("..", "malformed"),
        ("é.a.b", "malformed"),
        ("!!.!!.!!", "malformed"),
        ("x" * (MAX_TOKEN_BYTES + 1), "too_large"),
        (f"{'x' * 5000}.a.b", "too_large"),
        (forged({"alg": 1}, claims()), "malformed"),
        (forged({}, claims()), "malformed"),
        (forged({"alg": "RS256", "kid": 1}, claims()), "malformed"),
        (forged({"alg": "RS256"}, {}), "claims"),
    ],
)
def test_what_is_no_token(text, reason):
    assert refusal(text) == reason


def test_deeply_nested_claims_do_not_end_the_program():
    nested = base64.urlsafe_b64encode(b"[" * 9_000).decode().rstrip("=")
    header = base64.urlsafe_b64encode(json.dumps({"alg": "RS256"}).encode()).decode().rstrip("=")
    assert refusal(f"{header}.{nested}.x") == "malformed"


def test_a_token_of_16_kib_is_not_too_large():
    made = token(groups=["x" * 100] * 80)
    assert 10_000 < len(made) < MAX_TOKEN_BYTES
    assert len(checked(made, **PATHS).groups) == 1


def test_what_a_header_authorization_may_be():
    assert bearer([]) is None
    assert bearer(["Bearer abc"]) == bearer(["bearer  abc "]) == "abc"
    for wrong in (["Basic abc"], ["abc"], [""], ["Bearer "], ["Bearer a", "Bearer a"]):
        with pytest.raises(RefusedError) as caught:
            bearer(wrong)
        assert caught.value.reason == "malformed"
