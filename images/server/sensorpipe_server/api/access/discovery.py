"""Fetches the keys of an issuer by OpenID Connect Discovery, with bounds on size and time."""

import asyncio
from pathlib import Path
from typing import Any, Final

import httpx2
import msgspec
from sensorpipe_runtime.tls import client_context

from sensorpipe_server.access.files import MAX_KEY_BYTES
from sensorpipe_server.access.keys import VerifyingKey, parse_keys
from sensorpipe_server.access.rules import Issuer

FETCH_SECONDS: Final = 10.0
"""Longest time for both requests, in seconds."""


class FetchError(Exception):
    """Keys that cannot be fetched; the text says why."""


async def fetch_keys(issuer: Issuer, ca_file: Path | None) -> tuple[VerifyingKey, ...]:
    """Return the keys of an issuer, or raise FetchError.

    Each time there is a new client, so that a replaced file of CA certificates counts.
    """
    try:
        async with asyncio.timeout(FETCH_SECONDS):
            context = await asyncio.to_thread(client_context, str(ca_file) if ca_file else None)
            async with httpx2.AsyncClient(verify=context, timeout=FETCH_SECONDS) as client:
                address = _jwks_uri(issuer, await _get(client, str(issuer.discovery)))
                return parse_keys(await _get(client, address))
    except TimeoutError as error:
        raise FetchError(f"no answer within {FETCH_SECONDS:g} s") from error
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
        raise FetchError(str(error) or type(error).__name__) from error


async def _get(client: httpx2.AsyncClient, address: str) -> bytes:
    """Return the body of an answer with status 200; redirects are not followed."""
    content = b""
    async with client.stream("GET", address, headers={"Accept": "application/json"}) as answer:
        if answer.status_code != httpx2.codes.OK:
            raise FetchError(f"{address} answered with status {answer.status_code}")
        async for piece in answer.aiter_bytes():
            content += piece
            if len(content) > MAX_KEY_BYTES:
                raise FetchError(f"{address} answered with more than {MAX_KEY_BYTES // 1024} KiB")
    return content


def _jwks_uri(issuer: Issuer, content: bytes) -> str:
    """Return the address of the keys that a discovery document of the issuer has."""
    try:
        document: Any = msgspec.json.decode(content)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise FetchError(f"{issuer.discovery} is not JSON") from error
    found = document if isinstance(document, dict) else {}
    if found.get("issuer") != issuer.issuer:
        named = found.get("issuer")
        raise FetchError(f"{issuer.discovery} is of the issuer {named!r:.200}")
    address = found.get("jwks_uri")
    if not isinstance(address, str) or not address.startswith("https://"):
        raise FetchError(f"{issuer.discovery} has no jwks_uri that begins with https://")
    return address
