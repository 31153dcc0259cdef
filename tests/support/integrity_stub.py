"""A stand-in for the server that answers with any integrity, and `sensorpipe verify` at it."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Stub(ThreadingHTTPServer):
    """Answers `/api/integrity` with whatever `answer` is."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.status = 200
        self.answer: Any = integrity()
        self.by_query: dict[str, Any] = {}
        self.authorizations: list[str | None] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Stub

    def do_GET(self):
        path, _, query = self.path.partition("?")
        self.send_response(self.server.status if path == "/api/integrity" else 404)
        self.end_headers()
        self.server.authorizations.append(self.headers["Authorization"])
        answer = self.server.by_query.get(query, self.server.answer)
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, format, *args):  # noqa: A002  inherited name
        pass


@contextmanager
def answering() -> Iterator[Stub]:
    """Have a stand-in that answers."""
    with Stub() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def row(lost: int = 0, duplicates: int = 0, src: str | None = "gen-1") -> dict[str, Any]:
    names = {"facility": "facility_1", "sensor": "humidity", "src": src}
    counts = {"first": 1, "last": 100, "count": 100 - lost + duplicates}
    return names | counts | {"lost": lost, "duplicates": duplicates}


def integrity(*rows: dict[str, Any], **totals: int) -> dict[str, Any]:
    sums = {key: sum(row[key] or 0 for row in rows) for key in ("count", "lost", "duplicates")}
    known = sums | {"unidentified": 0, "sources": len(rows)}
    return {"data": list(rows), "totals": known | totals}


def verify(
    url: str, *options: str, stdin: str | None = None, **environ: str
) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "sensorpipe_cli", "verify", "--url", url, *options]
    return subprocess.run(
        argv,
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=240,
        env=os.environ | environ,
        check=False,
    )
