"""Keys of issuers, and the algorithms that each may be used with. Pure.

A token never chooses: the type of a key says which algorithms verify with it, and a shared secret
is never taken from a set of public keys.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from joserfc import jwk
from joserfc.errors import JoseError

MAX_KEYS: Final = 32
"""Largest number of keys of an issuer; a token without `kid` is tried with all that fit."""

MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192
"""Sizes of RSA keys: shorter ones are broken, longer ones take long to verify with."""

MIN_SECRET_BYTES: Final = 32
MAX_SECRET_BYTES: Final = 1024

_RSA: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVES: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_PUBLIC: Final = {
    "RSA": ("kty", "n", "e"),
    "EC": ("kty", "crv", "x", "y"),
    "OKP": ("kty", "crv", "x"),
}
"""By type, the parameters of a public key; nothing else of a key is kept."""


class KeysError(ValueError):
    """Keys that cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A key, and what it verifies."""

    key: jwk.Key
    kid: str | None
    algorithms: frozenset[str]


def parse_keys(content: bytes) -> tuple[VerifyingKey, ...]:
    """Return the keys of a JSON Web Key Set that verify signatures; raise KeysError.

    Keys of other kinds are left out, as RFC 7517 (5) asks for; there must be one of ours.
    """
    try:
        document = msgspec.json.decode(content)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise KeysError(f"not JSON: {error}") from error
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise KeysError("must be a JSON Web Key Set: an object with a list `keys`")
    if len(entries) > MAX_KEYS:
        raise KeysError(f"must have at most {MAX_KEYS} keys; got {len(entries)}")
    found: list[VerifyingKey] = []
    reasons: list[str] = []
    for number, entry in enumerate(entries):
        try:
            found.append(_key(entry))
        except KeysError as error:
            reasons.append(f"keys[{number}] {error}")
    if not found:
        raise KeysError("; ".join(["no key verifies signatures", *reasons[:5]]))
    return tuple(found)


def secret_key(content: bytes) -> tuple[VerifyingKey, ...]:
    """Return the key of a shared secret, without a line break at its end; raise KeysError."""
    secret = content.rstrip(b"\r\n")
    if not MIN_SECRET_BYTES <= len(secret) <= MAX_SECRET_BYTES:
        raise KeysError(
            f"must have {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes, as "
            f"`openssl rand -base64 48` makes them; got {len(secret)}"
        )
    try:
        key = jwk.OctKey.import_key(secret)
    except (JoseError, ValueError) as error:
        raise KeysError("must not be a public or private key") from error
    return (VerifyingKey(key, None, frozenset({"HS256"})),)


def fitting(
    keys: Sequence[VerifyingKey], algorithm: str, kid: str | None
) -> tuple[VerifyingKey, ...]:
    """Return the keys that may have signed a token with this header.

    A key without `kid` may have signed any; a token without one may be of any key.
    """
    return tuple(
        each
        for each in keys
        if algorithm in each.algorithms and (None in (kid, each.kid) or each.kid == kid)
    )


def _key(entry: Any) -> VerifyingKey:
    if not isinstance(entry, dict):
        raise KeysError("is no object")
    kind, kid = entry.get("kty"), entry.get("kid")
    if not isinstance(kind, str) or kind not in _PUBLIC:
        raise KeysError(f"has the type {kind!r:.40}; allowed are {', '.join(_PUBLIC)}")
    if not isinstance(kid, str | None):
        raise KeysError("has a kid that is no text")
    if entry.get("use", "sig") != "sig" or "verify" not in _uses(entry):
        raise KeysError("is not for signatures")
    try:
        if kind == "RSA":
            _check_rsa(entry["n"])
        key = jwk.import_key({name: entry[name] for name in _PUBLIC[kind]})
    except KeysError:
        raise
    except (JoseError, KeyError, ValueError, TypeError) as error:
        raise KeysError(f"is no valid key of the type {kind}") from error
    algorithms = _algorithms(key, entry)
    return VerifyingKey(key, kid, algorithms)


def _check_rsa(modulus: str) -> None:
    """Raise KeysError for a key of a size that is not allowed, and ValueError for no key."""
    content = base64.urlsafe_b64decode(modulus + "=" * (-len(modulus) % 4))
    bits = int.from_bytes(content).bit_length()
    if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
        raise KeysError(f"has {bits} bits; allowed are {MIN_RSA_BITS} to {MAX_RSA_BITS}")


def _uses(entry: Mapping[str, Any]) -> Sequence[Any]:
    uses = entry.get("key_ops", ["verify"])
    return uses if isinstance(uses, list) else []


def _algorithms(key: jwk.Key, entry: Mapping[str, Any]) -> frozenset[str]:
    """Return the algorithms of a key: those of its type, or the one that it names of these."""
    if isinstance(key, jwk.RSAKey):
        allowed = _RSA
    else:
        curve = entry["crv"]
        names = [_CURVES[curve]] if curve in _CURVES else []
        allowed = frozenset({"EdDSA", "Ed25519"} if curve == "Ed25519" else names)
    named = entry.get("alg")
    if named is not None:
        # RFC 9864: an Ed25519 key may name either, and so may its tokens
        same = allowed if allowed == {"EdDSA", "Ed25519"} else frozenset({named})
        allowed = same if isinstance(named, str) and named in allowed else frozenset()
    if not allowed:
        raise KeysError("has a curve or algorithm that is not allowed")
    return allowed
