"""Keys of issuers: which are taken, and for which algorithms."""

import base64
import json

import pytest
from sensorpipe_server.access.keys import MAX_KEYS, KeysError, fitting, parse_keys, secret_key
from support.tokens import KINDS, private_key, public_forms, verifying

RSA = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}


def published(**changed):
    """Return a key set of one key with changed parameters; None leaves one out."""
    entry = {**private_key().as_dict(private=False), **changed}
    kept = {name: value for name, value in entry.items() if value is not None}
    return json.dumps({"keys": [kept]}).encode()


@pytest.mark.parametrize("algorithm", KINDS)
def test_the_type_of_a_key_says_its_algorithms(algorithm):
    (key,) = verifying(private_key("a", algorithm))
    expected = {"RS256": RSA, "Ed25519": {"Ed25519", "EdDSA"}}.get(algorithm, {algorithm})
    assert key.algorithms == expected
    assert key.kid == "a"


def test_a_key_may_name_the_one_algorithm_it_is_for():
    (key,) = parse_keys(published(alg="PS384"))
    assert key.algorithms == {"PS384"}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"use": "enc"}, "keys[0] is not for signatures"),
        ({"key_ops": ["encrypt"]}, "keys[0] is not for signatures"),
        ({"alg": "HS256"}, "keys[0] has a curve or algorithm that is not allowed"),
        ({"alg": "none"}, "keys[0] has a curve or algorithm that is not allowed"),
        ({"kty": "oct", "k": "c2VjcmV0"}, "keys[0] has the type 'oct'; allowed are RSA, EC, OKP"),
        ({"kid": 1}, "keys[0] has a kid that is no text"),
        ({"n": None}, "keys[0] is no valid key of the type RSA"),
        ({"n": 1}, "keys[0] is no valid key of the type RSA"),
        ({"n": "é"}, "keys[0] is no valid key of the type RSA"),
        ({"kty": "EC"}, "keys[0] is no valid key of the type EC"),
    ],
)
def test_a_key_that_verifies_no_tokens_is_refused(changed, why):
    with pytest.raises(KeysError) as caught:
        parse_keys(published(**changed))
    assert str(caught.value) == f"no key verifies signatures; {why}"


@pytest.mark.parametrize("bits", [1024, 2047, 8193])
def test_an_rsa_key_that_is_too_short_or_too_long_is_refused(bits):
    modulus = (2**bits - 1).to_bytes(bits // 8 + 1).lstrip(b"\0")
    with pytest.raises(KeysError, match=f"has {bits} bits; allowed are 2048 to 8192"):
        parse_keys(published(n=base64.urlsafe_b64encode(modulus).decode().rstrip("=")))


def test_other_keys_beside_a_good_one_are_left_out():
    entries = [{"kty": "oct", "k": "x"}, 1, private_key().as_dict(private=False)]
    (key,) = parse_keys(json.dumps({"keys": entries}).encode())
    assert key.kid == "key-1"


def test_of_a_private_key_only_the_public_part_is_kept():
    entry = private_key().as_dict(private=True)
    (key,) = parse_keys(json.dumps({"keys": [entry]}).encode())
    assert not key.key.is_private


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "must be a JSON Web Key Set"),
        (b'{"keys": {}}', "must be a JSON Web Key Set"),
        (b'{"keys": []}', "no key verifies signatures"),
        (json.dumps({"keys": [{}] * (MAX_KEYS + 1)}).encode(), "at most 32 keys; got 33"),
    ],
)
def test_what_is_no_key_set(content, why):
    with pytest.raises(KeysError, match=why):
        parse_keys(content)


def test_a_secret_is_for_hs256_only_and_has_32_bytes():
    (key,) = secret_key(b"x" * 32 + b"\n")
    assert key.algorithms == {"HS256"}
    for wrong in (b"", b"x" * 31, b"x" * 31 + b"\n", b"x" * 2000):
        with pytest.raises(KeysError, match="must have 32 to 1024 bytes, as `openssl rand"):
            secret_key(wrong)


def test_a_public_key_is_no_secret():
    with pytest.raises(KeysError, match="must not be a public or private key"):
        secret_key(public_forms(private_key())[0])


def test_the_kid_and_the_algorithm_say_which_keys_fit():
    keys = verifying(private_key("a"), private_key("b"), private_key("c", "ES256"))
    assert [each.kid for each in fitting(keys, "RS256", "b")] == ["b"]
    assert [each.kid for each in fitting(keys, "RS256", None)] == ["a", "b"]
    assert fitting(keys, "ES256", "a") == ()
    assert fitting(keys, "HS256", "a") == ()
