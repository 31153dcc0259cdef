import socket
import urllib.error
import urllib.request

import pytest
from prometheus_client import Counter
from sensorpipe_schema.observe import Observatory

SEEN = Counter("sensorpipe_test_seen", "What the tests have counted.")


def get(observatory: Observatory, path: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{observatory.port}{path}"
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
def observatory(state):
    with Observatory(
        "127.0.0.1", 0, healthy=lambda: state.healthy, ready=lambda: state.ready
    ) as running:
        yield running


def test_metrics_are_prometheus_text(observatory):
    SEEN.inc(3)
    status, text = get(observatory, "/metrics")
    assert status == 200
    assert "# HELP sensorpipe_test_seen_total What the tests have counted." in text
    assert "sensorpipe_test_seen_total 3.0" in text
    assert "process_resident_memory_bytes" in text


def test_probes_follow_the_programs_state(observatory, state):
    assert get(observatory, "/healthz") == (200, "ok\n")
    assert get(observatory, "/readyz") == (503, "not now\n")
    state.healthy, state.ready = False, True
    assert get(observatory, "/healthz") == (503, "not now\n")
    assert get(observatory, "/readyz?verbose") == (200, "ok\n")


@pytest.mark.parametrize("path", ["/", "/metrics/", "/healthz/x", "/../etc/passwd"])
def test_any_other_path_is_told_what_is_here(observatory, path):
    status, text = get(observatory, path)
    assert status == 404
    assert "/metrics, /healthz and /readyz" in text


def test_a_client_that_says_nothing_holds_up_nobody(observatory):
    with socket.create_connection(("127.0.0.1", observatory.port)):
        assert get(observatory, "/healthz") == (200, "ok\n")


def test_a_check_that_fails_is_a_server_error_and_the_next_one_is_answered(state, capsys):
    def ready() -> bool:
        if not state.ready:
            raise RuntimeError("no client yet")
        return True

    with Observatory("127.0.0.1", 0, healthy=lambda: True, ready=ready) as running:
        assert get(running, "/readyz")[0] == 500
        state.ready = True
        assert get(running, "/readyz")[0] == 200
    assert "no client yet" in capsys.readouterr().err


def test_probes_leave_no_line_on_standard_error(observatory, capsys):
    get(observatory, "/healthz")
    assert capsys.readouterr().err == ""


def test_the_port_is_free_afterwards():
    with Observatory("127.0.0.1", 0, healthy=lambda: True, ready=lambda: True) as running:
        port = running.port
    with Observatory("127.0.0.1", port, healthy=lambda: True, ready=lambda: True) as again:
        assert get(again, "/healthz")[0] == 200
