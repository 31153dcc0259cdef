"""Checks tokens (JWT, RFC 7519, after RFC 8725) and says whose they are. Pure."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, NoReturn

import msgspec
from joserfc import jws
from joserfc.errors import JoseError

from sensorpipe_server.access.grants import Principal
from sensorpipe_server.access.keys import VerifyingKey, fitting
from sensorpipe_server.access.rules import SCOPES, Issuer

MAX_TOKEN_BYTES: Final = 16 * 1024
"""Largest size of a token in bytes."""

MAX_HEADER_BYTES: Final = 4096
"""Largest size of a token's header in bytes, as it is encoded."""

LEEWAY_SECONDS: Final = 60
"""How far the clocks of issuer and server may be apart, in seconds."""

MAX_VALUES: Final = 1000
"""Largest number of groups, or of facilities, that a token may name."""

_MAX_SUBJECT: Final = 1024
_LAST_SECOND: Final = 1e11
"""The largest time in unix seconds that is believed: in the year 5138."""
_PARTS: Final = 3

REASONS: Final = (
    "no_token",
    "malformed",
    "too_large",
    "issuer",
    "algorithm",
    "key",
    "signature",
    "audience",
    "expired",
    "not_yet",
    "claims",
    "scope",
    "facility",
    "no_keys",
)
"""Why requests are refused, as the metric counts them."""


class RefusedError(Exception):
    """A token that is not accepted: `reason` is one of REASONS, the text is for its sender."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a token says of itself; nothing of it is checked but its form."""

    issuer: str
    algorithm: str
    kid: str | None


class Times(NamedTuple):
    """When a token is valid, as it says itself, in unix seconds."""

    exp: float
    nbf: float | None
    iat: float | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A token that is right whenever its times are and its key is one of its issuer's."""

    principal: Principal
    times: Times
    key: VerifyingKey
    """The key that has signed it."""


class _Registry(jws.JWSRegistry):
    """Verifies with the algorithms of a key, and no others.

    Unlike joserfc's own, it does not warn of EdDSA at each token: RFC 9864 replaces the name, and
    issuers still send it.
    """

    max_header_length = MAX_HEADER_BYTES
    max_payload_length = MAX_TOKEN_BYTES

    def get_alg(self, name: str) -> Any:
        if name not in (self.allowed or ()):
            raise JoseError("algorithm not allowed")
        return self.algorithms[name]


def bearer(values: Sequence[str]) -> str | None:
    """Return the token of the headers Authorization of a request; None if there are none."""
    if not values:
        return None
    scheme, _, token = values[0].partition(" ")
    token = token.strip(" ")
    if len(values) > 1 or scheme.lower() != "bearer" or not token:
        _refuse("malformed", "The header Authorization must be once `Bearer TOKEN`")
    return token


def peek(token: str) -> Claimed:
    """Return what a token says of itself, or raise RefusedError."""
    if len(token) > MAX_TOKEN_BYTES:
        _refuse("too_large", f"The token has more than {MAX_TOKEN_BYTES} bytes")
    parts = token.split(".")
    if len(parts) != _PARTS or not token.isascii():
        _refuse("malformed", "The token is no JWT: it must be HEADER.CLAIMS.SIGNATURE")
    if len(parts[0]) > MAX_HEADER_BYTES:
        _refuse("too_large", f"The token's header has more than {MAX_HEADER_BYTES} bytes")
    header, claims = _object(parts[0], "header"), _object(parts[1], "claims")
    algorithm, kid, issuer = header.get("alg"), header.get("kid"), claims.get("iss")
    if not isinstance(algorithm, str) or not isinstance(kid, str | None):
        _refuse("malformed", "The token's header must have alg, and a kid that is text")
    if "crit" in header:
        _refuse("malformed", "The token's header has crit: no extensions are supported")
    if not isinstance(issuer, str):
        _refuse("claims", "The token has no claim iss that is text")
    return Claimed(issuer, algorithm, kid)


def accept(token: str, claimed: Claimed, issuer: Issuer, keys: Sequence[VerifyingKey]) -> Accepted:
    """Check all of a token of an issuer but its times, or raise RefusedError."""
    _check_algorithm(claimed, keys)
    candidates = fitting(keys, claimed.algorithm, claimed.kid)
    if not candidates:
        _refuse("key", "The issuer of the token has no key with its kid")
    claims, key = _signed_claims(token, candidates)
    if claims.get("iss") != issuer.issuer:
        _refuse("issuer", "The token is of another issuer")
    _check_audience(claims.get("aud"), issuer.audiences)
    times = _times(claims)
    subject = value_at(claims, issuer.claims.subject)
    if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_SUBJECT:
        _refuse("claims", "The token has no subject that is text")
    principal = Principal(
        issuer.issuer,
        subject,
        times.exp + LEEWAY_SECONDS,
        frozenset(_texts(claims, issuer.claims.groups, "groups")),
        frozenset(_texts(claims, issuer.claims.scopes, "scopes")).intersection(SCOPES),
        tuple(_texts(claims, issuer.claims.facilities, "facilities")),
    )
    return Accepted(principal, times, key)


def check_times(times: Times, now: float) -> None:
    """Raise RefusedError unless a token is valid at `now`, in unix seconds."""
    if now >= times.exp + LEEWAY_SECONDS:
        _refuse("expired", "The token has expired")
    latest = now + LEEWAY_SECONDS
    if any(each is not None and each > latest for each in (times.nbf, times.iat)):
        _refuse("not_yet", "The token is not valid yet, or one of the clocks is wrong")


def value_at(claims: Any, pointer: Sequence[str]) -> Any:
    """Return the value at a path of claims; None if there is none."""
    for key in pointer:
        claims = claims.get(key) if isinstance(claims, dict) else None
    return claims


def _check_algorithm(claimed: Claimed, keys: Sequence[VerifyingKey]) -> None:
    allowed = sorted({name for each in keys for name in each.algorithms})
    if claimed.algorithm not in allowed:
        _refuse(
            "algorithm",
            f"The token's algorithm is not one of its issuer's keys: {', '.join(allowed)}",
        )


def _signed_claims(
    token: str, candidates: Sequence[VerifyingKey]
) -> tuple[dict[str, Any], VerifyingKey]:
    """Return the claims of a token and the key that has signed it, or raise RefusedError."""
    for key in candidates:
        if payload := _signed_payload(token, key):
            return _decoded(payload, "claims"), key
    raise RefusedError("signature", "The token's signature does not match a key of its issuer")


def _signed_payload(token: str, key: VerifyingKey) -> bytes | None:
    registry = _Registry(algorithms=key.algorithms, strict_check_header=False)
    try:
        return jws.deserialize_compact(token, key.key, registry=registry).payload
    except (JoseError, ValueError, TypeError):
        return None


def _check_audience(given: Any, audiences: Sequence[str]) -> None:
    found = given if isinstance(given, list) else [given]
    if not any(isinstance(each, str) and each in audiences for each in found):
        _refuse(
            "audience", f"The token is not for this API: aud must have {' or '.join(audiences)}"
        )


def _times(claims: Mapping[str, Any]) -> Times:
    """Return when the token is valid, or raise RefusedError if it does not say so."""
    times: dict[str, float] = {}
    for name in ("exp", "nbf", "iat"):
        value: Any = claims.get(name)
        if name == "exp" or value is not None:
            if type(value) not in (int, float) or abs(value) > _LAST_SECOND:
                _refuse("claims", f"The token has no claim {name} that is a time in seconds")
            times[name] = float(value)
    return Times(times["exp"], times.get("nbf"), times.get("iat"))


def _texts(claims: Mapping[str, Any], pointer: Sequence[str] | None, what: str) -> list[str]:
    """Return a claim that is a list of text, or text; empty if it is not read or not there."""
    value = None if pointer is None else value_at(claims, pointer)
    if value is None:
        return []
    # as `scope` in RFC 8693, several scopes are text with spaces between them
    split = value.split() if what == "scopes" and isinstance(value, str) else [value]
    found = value if isinstance(value, list) else split
    if len(found) > MAX_VALUES or not all(isinstance(each, str) for each in found):
        _refuse("claims", f"The token's {what} must be a list of at most {MAX_VALUES} texts")
    return found


def _object(part: str, what: str) -> dict[str, Any]:
    try:
        content = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        _refuse("malformed", f"The token's {what} cannot be decoded")
    return _decoded(content, what)


def _decoded(content: bytes, what: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(content)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        found = None
    if not isinstance(found, dict):
        _refuse("malformed", f"The token's {what} must be a JSON object")
    return found


def _refuse(reason: str, detail: str) -> NoReturn:
    raise RefusedError(reason, detail)
