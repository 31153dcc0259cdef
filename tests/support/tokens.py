"""Tokens as issuers make them and as attackers do, and access files."""

import base64
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from joserfc import jwk, jws
from sensorpipe_server.access.grants import Principal
from sensorpipe_server.access.keys import VerifyingKey, parse_keys
from sensorpipe_server.access.rules import Issuer
from sensorpipe_server.access.tokens import accept, check_times, peek

NOW: Final = 1_795_773_600.0
"""The time of unit tests, in unix seconds."""

ISSUER: Final = "https://login.example.com/realms/plant"
AUDIENCE: Final = "sensorpipe"
SECRET: Final = "a-secret-of-more-than-32-bytes-for-tests"

KINDS: Final[Mapping[str, tuple[Any, Any]]] = {
    "RS256": ("RSA", 2048),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "Ed25519": ("OKP", "Ed25519"),
}
"""By algorithm, the type of a key and its size or curve."""


@cache
def private_key(kid: str = "key-1", algorithm: str = "RS256") -> jwk.Key:
    """Return the private key of an issuer; the same for the same names."""
    kind, size = KINDS[algorithm]
    made: jwk.Key = jwk.generate_key(kind, size, parameters={"kid": kid})
    return made


def public_forms(key: jwk.Key) -> tuple[bytes, bytes]:
    """Return the public key as PEM and as DER, which everybody can have."""
    assert not isinstance(key, jwk.OctKey)
    return key.as_pem(private=False), key.as_der(private=False)


def jwks(*keys: jwk.Key, **more: Any) -> bytes:
    """Return the key set that an issuer publishes of these keys."""
    found = [{**each.as_dict(private=False), "use": "sig", **more} for each in keys]
    return json.dumps({"keys": found}).encode()


def verifying(*keys: jwk.Key) -> tuple[VerifyingKey, ...]:
    """Return what verifies tokens of these keys."""
    return parse_keys(jwks(*keys))


def verified(text: str, issuer: Issuer, keys: Sequence[VerifyingKey], now: float) -> Principal:
    """Return whose a token is, as the server finds it; raise RefusedError."""
    found = accept(text, peek(text), issuer, keys)
    check_times(found.times, now)
    return found.principal


def claims(**changed: Any) -> dict[str, Any]:
    """Return claims of a good token at NOW; None leaves one out."""
    good = {
        "iss": ISSUER,
        "aud": [AUDIENCE],
        "sub": "somebody",
        "exp": NOW + 3600,
        "iat": NOW,
    }
    return {name: value for name, value in (good | changed).items() if value is not None}


def signed(content: Mapping[str, Any], key: jwk.Key | None = None, **header: Any) -> str:
    """Return a token; the header has the key's kid unless it says otherwise."""
    key = key or private_key()
    fields = {"alg": "RS256", "kid": key.kid, **header}
    named = {name: value for name, value in fields.items() if value is not None}
    registry = jws.JWSRegistry(algorithms=[named["alg"]], strict_check_header=False)
    registry.max_header_length = 100_000
    return jws.serialize_compact(named, json.dumps(content), key, registry=registry)


def token(key: jwk.Key | None = None, **changed: Any) -> str:
    """Return a token with the claims of a good one but for these."""
    return signed(claims(**changed), key)


def forged(header: Mapping[str, Any], content: Mapping[str, Any], signature: bytes = b"") -> str:
    """Return a token with any header and any signature."""
    parts = json.dumps(header).encode(), json.dumps(content).encode(), signature
    return ".".join(base64.urlsafe_b64encode(each).decode().rstrip("=") for each in parts)


def secret_token(secret: bytes = SECRET.encode(), **changed: Any) -> str:
    """Return a token that is signed with a shared secret."""
    return signed(
        claims(**{"iss": "sensorpipe", **changed}), jwk.OctKey.import_key(secret), alg="HS256"
    )


def grant(scopes: Sequence[str], facilities: Sequence[str], **who: str) -> dict[str, Any]:
    """Return an entry of the access file."""
    return {**who, "scopes": [*scopes], "facilities": [*facilities]}


def access_file(
    folder: Path,
    *grants: Mapping[str, Any],
    issuers: Sequence[Mapping[str, Any]] | None = None,
    anonymous: Mapping[str, Any] | None = None,
) -> Path:
    """Write an access file, by default of one issuer with a key file, and return its path."""
    usual: Mapping[str, Any] = {"issuer": ISSUER, "audiences": [AUDIENCE], "jwksFile": "jwks.json"}
    if issuers is None:
        (folder / "jwks.json").write_bytes(jwks(private_key()))
    document: dict[str, Any] = {
        "issuers": [usual] if issuers is None else [*issuers],
        "grants": [*grants],
    }
    if anonymous is not None:
        document["anonymous"] = anonymous
    path = folder / "access.yaml"
    path.write_text(yaml.safe_dump(document))
    return path
