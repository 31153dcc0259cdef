"""`sensorpipe verify` against a stand-in for the server."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sensorpipe_cli.ask import AskError
from sensorpipe_cli.verify import SETTLED_SECONDS, settled

LONG = "a-source-with-a-name-as-long-as-one-can-be-" + "x" * 40


class Stub(ThreadingHTTPServer):
    """Answers `/api/integrity` with whatever `answer` is."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.status = 200
        self.answer: Any = integrity()
        self.url = f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Stub

    def do_GET(self):
        known = self.path == "/api/integrity"
        self.send_response(self.server.status if known else 404)
        self.end_headers()
        self.wfile.write(json.dumps(self.server.answer).encode())

    def log_message(self, format, *args):  # noqa: A002  inherited name
        pass


@pytest.fixture
def stub() -> Iterator[Stub]:
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
    sums = {key: sum(row[key] for row in rows) for key in ("count", "lost", "duplicates")}
    known = sums | {"unidentified": 0, "sources": len(rows)}
    return {"data": list(rows), "totals": known | totals}


def verify(url: str, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "sensorpipe_cli", "verify", "--url", url, *options]
    return subprocess.run(
        argv, capture_output=True, text=True, timeout=60, env=os.environ | environ, check=False
    )


def test_intact_is_a_table_and_exit_code_0(stub):
    stub.answer = integrity(row(), row(src=LONG))
    done = verify(stub.url)
    assert done.returncode == 0
    heads, _, first, second, total = done.stdout.splitlines()
    columns = ["facility", "sensor", "source", "first", "last", "count", "lost", "duplicates"]
    assert heads.split() == columns
    assert first.split() == ["facility_1", "humidity", "gen-1", "1", "100", "100", "0", "0"]
    assert LONG in second
    assert total == "200 readings of 2 sources: lost 0, duplicates 0"


@pytest.mark.parametrize(
    "rows",
    [
        [row(lost=1)],
        [row(duplicates=1)],
        [row(lost=1, duplicates=1)],
        [row(lost=1), row(duplicates=1, src="gen-2")],
    ],
)
def test_one_loss_and_one_duplicate_never_cancel_out(stub, rows):
    stub.answer = integrity(*rows)
    done = verify(stub.url)
    assert done.returncode == 1
    lost, duplicates = (sum(row[key] for row in rows) for key in ("lost", "duplicates"))
    assert f"lost {lost}, duplicates {duplicates}" in done.stdout
    assert done.stdout.endswith("NOT every reading is stored exactly once\n")


@pytest.mark.parametrize("totals", [{"lost": 1}, {"duplicates": 1}])
def test_a_fault_in_the_totals_alone_counts(stub, totals):
    stub.answer = integrity(row(), **totals)
    assert verify(stub.url).returncode == 1


def test_no_readings_prove_nothing_and_it_says_so(stub):
    done = verify(stub.url)
    assert done.returncode == 0
    assert done.stdout.startswith("no readings are stored yet")


def test_readings_that_nobody_can_check_are_told(stub):
    stub.answer = integrity(row(), unidentified=5)
    assert "; 5 more had no src and seq to check them by" in verify(stub.url).stdout


def test_json_is_the_servers_answer(stub):
    stub.answer = integrity(row(lost=1))
    done = verify(stub.url, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == stub.answer


def test_no_colour_in_a_pipe_whatever_the_environment_says(stub):
    stub.answer = integrity(row(lost=1))
    done = verify(stub.url, FORCE_COLOR="1", TERM="xterm-256color", COLUMNS="40")
    assert "\x1b" not in done.stdout
    assert "facility_1" in done.stdout


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "ftp://here", "127.0.0.1:8080", "http://["])
def test_a_server_that_is_not_there_is_exit_code_2(url):
    done = verify(url)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"cannot ask {url}")


def test_the_servers_own_reason_is_told(stub):
    stub.status, stub.answer = 503, {"detail": "MongoDB is away"}
    done = verify(stub.url)
    assert done.returncode == 2
    assert "503 MongoDB is away" in done.stderr


def test_another_servers_answer_is_exit_code_2(stub):
    stub.answer = {"hello": "world"}
    done = verify(stub.url)
    assert done.returncode == 2
    assert "not the answer of a sensorpipe server" in done.stderr


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_wait_judges_the_answer_that_no_longer_changes():
    clock = Clock()

    def fetch() -> bytes:
        if clock.now < 5:
            raise AskError("away")
        return b"%d" % min(clock.now, 20)

    assert settled(fetch, 60, clock, clock.sleep) == b"20"
    assert clock.now == 20 + SETTLED_SECONDS


def test_wait_judges_what_there_is_when_time_is_up():
    clock = Clock()
    assert settled(lambda: b"%d" % clock.now, 60, clock, clock.sleep) == b"60"


def test_wait_gives_up_on_a_server_that_never_answers():
    clock = Clock()

    def fetch() -> bytes:
        raise AskError("away")

    with pytest.raises(AskError):
        settled(fetch, 60, clock, clock.sleep)
    assert clock.now == 60


def test_wait_and_timeout_are_options_of_the_command():
    done = verify("http://127.0.0.1:1", "--wait", "--timeout", "100ms")
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("src", "shown"),
    [
        ("gw01[/dev/ttyUSB0]", "gw01[/dev/ttyUSB0]"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\nhall_9 forged", r"a\nhall_9 forged"),
        ("a\x9bb\u202ec\u2028d", r"a\x9bb\u202ec\u2028d"),
        ("Köln-°C", "Köln-°C"),
    ],
)
def test_foreign_text_is_shown_escaped(stub, src, shown):
    stub.answer = integrity(row(src=src))
    done = verify(stub.url, PYTHONUTF8="1")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert lines[2].startswith(f"facility_1   humidity   {shown} ")


def test_a_servers_error_cannot_write_to_the_terminal(stub):
    stub.status = 500
    stub.answer = {"detail": "no\x1b[2J\nlost 0"}
    assert r"500 no\x1b[2J\nlost 0" in verify(stub.url).stderr


def test_what_is_no_http_cannot_write_to_the_terminal_either():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(65536)
                client.sendall(b"\x1b[31mFORGED\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        done = verify(f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread.join()
    assert done.returncode == 2
    assert r"\x1b[31mFORGED" in done.stderr
    assert "\x1b" not in done.stderr
