"""Asks a compactor's pod what became of the Feeds."""

from typing import Any, Final

import aiohttp
from sensorpipe_schema.feed.report import MAX_BYTES, decode_report

from sensorpipe_operator.feeds.verdicts import Answer
from sensorpipe_operator.names import Body

PORT: Final = 9090
"""The compactor's monitoring port."""

_TIMEOUT: Final = aiohttp.ClientTimeout(total=5, connect=2)


def choose_pod(pods: list[Body]) -> Body | None:
    """Return the pod that compacts: the newest that has an address and does not end."""
    running = [
        pod
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
        and pod.get("status", {}).get("podIP")
        and pod["status"].get("phase") == "Running"
    ]
    created = "creationTimestamp"
    return max(running, key=lambda pod: str(pod["metadata"].get(created, "")), default=None)


async def ask(session: aiohttp.ClientSession, pod: Body | None) -> Answer:
    """Return the report of a compactor, or why there is none; at most 5 s later."""
    if pod is None:
        return Answer(None, "no pod of it runs")
    try:
        async with session.get(_url(pod), timeout=_TIMEOUT, allow_redirects=False) as response:
            if response.status != 200:  # noqa: PLR2004  OK
                return Answer(None, f"it answers with status {response.status}")
            content = await _read(response)
        return Answer.of(decode_report(content))
    except ValueError as error:
        return Answer(None, f"its answer is not understood: {error}")
    except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is an OSError
        return Answer(None, str(error) or type(error).__name__)


def _url(pod: Body) -> str:
    address: Any = pod["status"]["podIP"]
    return f"http://{f'[{address}]' if ':' in address else address}:{PORT}/feeds"


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Return the content; raise ValueError if it is larger than a report can be."""
    content = b""
    async for chunk in response.content.iter_chunked(64 * 1024):
        content += chunk
        if len(content) > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES} bytes")
    return content
