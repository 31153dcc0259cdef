"""Makes tokens that are signed with a shared secret: `sensorpipe token`."""

import base64
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import typer
from sensorpipe_schema.names import NAME_RULE, is_name

from sensorpipe_cli.errors import UnusableError

MIN_SECRET_BYTES: Final = 32
MAX_SECRET_BYTES: Final = 1024
"""Sizes of a secret that the server takes."""

SCOPES: Final = ("read", "metrics", "admin")
"""What a token may say that it grants; the server's access file decides whether it counts."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says, beside when it was made."""

    subject: str
    issuer: str = "sensorpipe"
    audience: str = "sensorpipe"
    seconds: float = 3600.0
    """How long it is valid."""
    scopes: tuple[str, ...] = ()
    facilities: tuple[str, ...] = ()


def token(secret_file: Path, claims: Claims, clock: Callable[[], float] = time.time) -> None:
    """Print a token; raise UnusableError with everything that is wrong."""
    problems = [*_problems(claims)]
    secret = b""
    try:
        secret = secret_file.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        problems.append(f"--secret-file {secret_file}: {error.strerror}")
    else:
        if not MIN_SECRET_BYTES <= len(secret) <= MAX_SECRET_BYTES:
            problems.append(
                f"--secret-file {secret_file}: must have {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} "
                f"bytes, as `openssl rand -base64 48` makes them; got {len(secret)}"
            )
    if problems:
        raise UnusableError(problems)
    typer.echo(signed(content(claims, int(clock())), secret))


def content(claims: Claims, now: int) -> dict[str, Any]:
    """Return the claims of a token that is made now, in unix seconds."""
    made: dict[str, Any] = {
        "iss": claims.issuer,
        "aud": claims.audience,
        "sub": claims.subject,
        "iat": now,
        "exp": now + int(claims.seconds),
    }
    if claims.scopes:
        made |= {"scopes": claims.scopes, "facilities": claims.facilities}
    return made


def signed(claims: Mapping[str, Any], secret: bytes) -> str:
    """Return claims as a token (JWT) that is signed by HS256."""
    head = {"alg": "HS256", "typ": "JWT"}
    text = f"{_encoded(msgspec.json.encode(head))}.{_encoded(msgspec.json.encode(claims))}"
    return f"{text}.{_encoded(hmac.digest(secret, text.encode(), 'sha256'))}"


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _problems(claims: Claims) -> list[str]:
    found = [
        f"--facility: must be {NAME_RULE}, or have '*' in the place of any characters; got {each!r}"
        for each in claims.facilities
        if not is_name(each.replace("*", "a"))
    ]
    found += [
        f"--scope: must be one of {', '.join(SCOPES)}; got {each!r}"
        for each in claims.scopes
        if each not in SCOPES
    ]
    if bool(claims.scopes) != bool(claims.facilities):
        found.append("--scope and --facility: must be given together, or neither")
    if "admin" in claims.scopes and "*" not in claims.facilities:
        found.append("--scope admin: needs --facility '*'; dead letters do not tell their facility")
    if claims.seconds < 1:
        found.append("--for: must be at least 1s")
    return found
