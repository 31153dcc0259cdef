"""Reading a program's own metrics and the server's API."""

import asyncio
import json
import re
import urllib.request
from typing import Any


async def counter(port: int | None, name: str) -> float:
    """Return the value of a metric without labels; 0 where it is not there."""
    text = await asyncio.to_thread(_get, f"http://127.0.0.1:{port}/metrics")
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


async def answer(port: int | None, path: str) -> Any:
    """Return what the API answers."""
    return json.loads(await asyncio.to_thread(_get, f"http://127.0.0.1:{port}{path}"))


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as response:
        body: bytes = response.read()
    return body.decode()
