"""An issuer of tokens: a real HTTPS server with a discovery document and keys."""

import asyncio
import json
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any, Self

import pytest
from joserfc import jwk
from sensorpipe_cli.runner.ports import free_port
from support.tokens import jwks, private_key, token


def certify(folder: Path) -> Path:
    """Make a certificate for 127.0.0.1 that is its own authority; return it with its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here; `apt-get install openssl` brings it")
    key, certificate, both = folder / "issuer.key", folder / "issuer.crt", folder / "issuer.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=issuer", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    both.write_text(key.read_text() + certificate.read_text())
    return both


class HttpsIssuer:
    """An issuer, whose answers a test may change; `async with` it."""

    def __init__(self, folder: Path, *keys: jwk.Key) -> None:
        pem = certify(folder)
        self.ca_file = folder / "issuer.crt"
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}/realms/plant"
        self.keys = keys or (private_key(),)
        self.requests: list[str] = []
        """Paths that were asked for."""
        self.changed: dict[str, bytes] = {}
        """By path, complete answers in the place of good ones."""
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(pem)
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Answer from now on."""
        self._server = await asyncio.start_server(
            self._answer, "127.0.0.1", self.port, ssl=self._context
        )

    async def stop(self) -> None:
        """Refuse connections."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def entry(self, **more: Any) -> dict[str, Any]:
        """Return the entry of this issuer in an access file."""
        return {
            "issuer": self.url,
            "audiences": ["sensorpipe"],
            "caFile": str(self.ca_file),
            **more,
        }

    def token(self, key: jwk.Key | None = None, **changed: Any) -> str:
        """Return a token of this issuer."""
        return token(key or self.keys[0], **{"iss": self.url, **changed})

    @property
    def key_requests(self) -> int:
        """How often the keys were asked for."""
        return self.requests.count("/keys")

    def _content(self, path: str) -> bytes | None:
        if path == "/realms/plant/.well-known/openid-configuration":
            address = f"https://127.0.0.1:{self.port}/keys"
            return json.dumps({"issuer": self.url, "jwks_uri": address}).encode()
        return jwks(*self.keys) if path == "/keys" else None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split()[1].decode()
                self.requests.append(path)
                writer.write(self.changed.get(path) or answer_of(self._content(path)))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def answer_of(body: bytes | None, status: int = 200, *fields: str) -> bytes:
    """Return a complete answer; 404 without a body."""
    status = 404 if body is None else status
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body or b'')}", *fields, "", ""]
    return "\r\n".join(lines).encode() + (body or b"")
