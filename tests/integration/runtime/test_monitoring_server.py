import socket
import threading
import urllib.error
import urllib.request

import pytest
from prometheus_client import Counter
from sensorpipe_runtime.monitoring_server import MAX_THREADS, MonitoringServer
from sensorpipe_runtime.settings import SettingsError

SEEN = Counter("sensorpipe_test_seen", "What the tests have counted.")


def get(server: MonitoringServer, path: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{server.port}{path}"
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


class State:
    healthy = True
    ready = False


@pytest.fixture
def state():
    return State()


@pytest.fixture
def server(state):
    with MonitoringServer(
        "127.0.0.1", 0, healthy=lambda: state.healthy, ready=lambda: state.ready
    ) as running:
        yield running


def test_metrics_are_prometheus_text(server):
    SEEN.inc(3)
    status, text = get(server, "/metrics")
    assert status == 200
    assert "# HELP sensorpipe_test_seen_total What the tests have counted." in text
    assert "sensorpipe_test_seen_total 3.0" in text
    assert "process_resident_memory_bytes" in text


def test_probes_follow_the_programs_state(server, state):
    assert get(server, "/healthz") == (200, "ok\n")
    assert get(server, "/readyz") == (503, "not ready\n")
    state.healthy, state.ready = False, True
    assert get(server, "/healthz") == (503, "unhealthy\n")
    assert get(server, "/readyz?verbose") == (200, "ok\n")


def test_a_document_is_made_at_each_request():
    made = iter((b'{"n":1}', b'{"n":2}'))
    with MonitoringServer(
        "127.0.0.1",
        0,
        healthy=lambda: True,
        ready=lambda: True,
        documents={"/feeds": lambda: next(made)},
    ) as running:
        url = f"http://127.0.0.1:{running.port}/feeds"
        with urllib.request.urlopen(url) as answer:
            assert answer.headers["Content-Type"] == "application/json"
            assert answer.read() == b'{"n":1}'
        assert get(running, "/feeds") == (200, '{"n":2}')
        assert "/metrics, /healthz, /feeds and /readyz" in get(running, "/")[1]


@pytest.mark.parametrize("path", ["/", "/metrics/", "/healthz/x", "/../etc/passwd"])
def test_any_other_path_is_told_what_is_here(server, path):
    status, text = get(server, path)
    assert status == 404
    assert "/metrics, /healthz and /readyz" in text


def test_a_client_that_says_nothing_holds_up_nobody(server):
    with socket.create_connection(("127.0.0.1", server.port)):
        assert get(server, "/healthz") == (200, "ok\n")


def test_clients_that_say_nothing_take_a_bounded_number_of_threads(server):
    before = threading.active_count()
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    for client in silent:
        client.send(b"GET /healthz HTTP/1.1\r\n")
    assert get(server, "/healthz") == (200, "ok\n")
    assert threading.active_count() <= before + MAX_THREADS
    for client in silent:
        client.close()


def sent(server: MonitoringServer, piece: bytes) -> int:
    """Send a piece again and again until the connection ends; return how many were sent."""
    pieces = 0
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\n")
        try:
            while pieces < 100_000:
                client.sendall(piece)
                pieces += 1
                client.settimeout(0.01)
                try:
                    if client.recv(1) == b"":
                        break
                except TimeoutError:
                    client.settimeout(30)
        except ConnectionError:
            pass
    return pieces


def test_headers_without_an_end_end_the_connection(server):
    assert sent(server, b"a: b\r\n" * 1000) < 100


def test_a_request_that_trickles_in_has_its_time_in_all():
    with MonitoringServer(
        "127.0.0.1", 0, healthy=lambda: True, ready=lambda: True, request_seconds=0.3
    ) as quick:
        assert 0 < sent(quick, b"a: b\r\n") < 1000


def test_a_port_in_use_names_the_setting(server):
    where = ("127.0.0.1", server.port)
    with pytest.raises(SettingsError, match="SENSORPIPE_MONITORING: cannot listen on 127"):
        MonitoringServer(
            *where, healthy=lambda: True, ready=lambda: True, setting="SENSORPIPE_MONITORING"
        )


def test_a_check_that_fails_is_a_server_error_and_the_next_one_is_answered(state, capsys):
    def ready() -> bool:
        if not state.ready:
            raise RuntimeError("no client yet")
        return True

    with MonitoringServer("127.0.0.1", 0, healthy=lambda: True, ready=ready) as running:
        assert get(running, "/readyz")[0] == 500
        state.ready = True
        assert get(running, "/readyz")[0] == 200
    assert "no client yet" in capsys.readouterr().err


def test_probes_leave_no_line_on_standard_error(server, capsys):
    get(server, "/healthz")
    assert capsys.readouterr().err == ""


def test_the_port_is_free_afterwards():
    with MonitoringServer("127.0.0.1", 0, healthy=lambda: True, ready=lambda: True) as running:
        port = running.port
    with MonitoringServer("127.0.0.1", port, healthy=lambda: True, ready=lambda: True) as again:
        assert get(again, "/healthz")[0] == 200


def test_a_moment_without_threads_costs_no_slot(server, monkeypatch):
    def no_threads(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_threads)
        for _ in range(MAX_THREADS + 1):
            with pytest.raises(OSError):  # noqa: PT011  closed without an answer, in one way or another
                get(server, "/healthz")
    assert get(server, "/healthz") == (200, "ok\n")
