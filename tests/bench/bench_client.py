"""Asking the API one request after the other."""

import http.client
import json
import math
import time
from typing import Any

_TIMEOUT = 180.0


class Client:
    """A client that keeps its connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)

    def read(self, path: str) -> Any:
        """Return the JSON of an answer of 200; raise RuntimeError for any other."""
        status, body = self._get(path)
        if status != http.HTTPStatus.OK:
            raise RuntimeError(f"{path} was answered by {status}: {body[:300]!r}")
        return json.loads(body)

    def size(self, path: str) -> int:
        """Return the number of bytes of an answer."""
        return len(self._get(path)[1])

    def times(self, path: str, count: int, seconds: float) -> list[float]:
        """Return the ms of up to `count` requests, of fewer if they take longer than `seconds`.

        Infinity stands for an answer other than 200, of which the first is printed.
        """
        end = time.monotonic() + seconds
        taken: list[float] = []
        while len(taken) < count and (not taken or time.monotonic() < end):
            began = time.perf_counter()
            status, body = self._get(path)
            took = (time.perf_counter() - began) * 1000
            if status != http.HTTPStatus.OK and math.inf not in taken:
                print(f"{path} was answered by {status}: {body[:300]!r}", flush=True)
            taken.append(took if status == http.HTTPStatus.OK else math.inf)
        return taken

    def _get(self, path: str) -> tuple[int, bytes]:
        self._connection.request("GET", path)
        response = self._connection.getresponse()
        return response.status, response.read()


def p95(values: list[float]) -> float:
    """Return the smallest of these values that 95 % of them do not exceed."""
    return sorted(values)[math.ceil(len(values) * 0.95) - 1]
