"""`sensorpipe verify` against a stand-in for the server."""

import json
import socket
import threading

import pytest
from support.integrity_stub import answering, integrity, row, verify

LONG = "a-source-with-a-name-as-long-as-one-can-be-" + "x" * 40


@pytest.fixture
def stub():
    with answering() as made:
        yield made


def test_intact_is_a_table_and_exit_code_0(stub):
    stub.answer = integrity(row(), row(src=LONG))
    done = verify(stub.url, "--all")
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


def test_by_default_only_what_is_wrong_is_shown(stub):
    stub.answer = integrity(row(), row(lost=2, src="gen-2"), row(duplicates=1, src="gen-3"))
    done = verify(stub.url)
    assert done.returncode == 1
    _, _, *lines = done.stdout.splitlines()
    assert [line.split()[2] for line in lines[:2]] == ["gen-2", "gen-3"]
    assert lines[2] == "299 readings of 3 sources: lost 2, duplicates 1"
    assert "gen-1" not in done.stdout


def test_of_a_device_only_duplicates_are_faults(stub):
    of_device = {"first": None, "last": None, "lost": None}
    stub.answer = integrity(row(), row(src="zigbee2mqtt/kitchen") | of_device)
    done = verify(stub.url, "--all")
    assert done.returncode == 0
    _, _, _, line, totals = done.stdout.splitlines()
    assert line.split()[2:] == ["zigbee2mqtt/kitchen", "-", "-", "100", "-", "0"]
    assert totals == "200 readings of 2 sources: lost 0, duplicates 0"
    stub.answer = integrity(row(duplicates=1) | of_device)
    assert verify(stub.url).returncode == 1


def test_80_000_sources_are_totals_and_a_bounded_list_of_what_is_wrong(stub):
    rows = [row(lost=int(n % 800 == 0), src=f"gen-{n}") for n in range(80_000)]
    stub.answer = integrity(*rows)
    done = verify(stub.url)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert len(lines) == 2 + 20 + 1 + 2
    assert lines[22] == "and 80 more (--all shows every source)"
    assert lines[23] == "7,999,900 readings of 80,000 sources: lost 100, duplicates 0"
    everything = verify(stub.url, "--all").stdout.splitlines()
    assert len(everything) == 2 + 80_000 + 2
    stub.answer = integrity(*(row(src=f"gen-{n}") for n in range(80_000)))
    assert verify(stub.url).stdout == (
        "8,000,000 readings of 80,000 sources: lost 0, duplicates 0\n"
    )


def test_facilities_that_are_named_are_asked_for_alone(stub):
    stub.answer = {"detail": "all of them"}
    one = row(lost=1) | {"facility": "hall_1"}
    two = row() | {"facility": "hall_2"}
    aside = {"set_aside": {"dead_letters": 2, "refused": 0}}
    stub.by_query["facility=hall_1"] = integrity(one) | aside
    stub.by_query["facility=hall_2"] = integrity(two, unidentified=7) | aside
    stub.by_query["facility=hall_9"] = integrity() | aside
    done = verify(stub.url, "--facility", "hall_2")
    assert done.returncode == 3
    assert done.stdout.startswith(
        "100 readings of 1 sources: lost 0, duplicates 0; "
        "7 more without src and seq, which cannot be checked\n"
    )
    names = ("--facility", "hall_1", "--facility", "hall_2", "--facility", "hall_9")
    done = verify(stub.url, *names)
    assert done.returncode == 1
    assert done.stdout.splitlines()[2].startswith("hall_1 ")
    assert "hall_9: no readings with src and seq\n199 readings of 2 sources" in done.stdout
    answer = json.loads(verify(stub.url, *names, "--json").stdout)
    assert answer["data"] == [one, two]
    assert answer["totals"] == {
        "count": 199, "lost": 1, "duplicates": 0, "unidentified": 7, "sources": 2
    }  # fmt: skip
    assert answer["set_aside"] == aside["set_aside"]


def test_names_are_shown_where_the_locale_is_ascii(stub):
    stub.answer = integrity(row(src="Köln"))
    done = verify(stub.url, "--all", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr
    assert "Köln" in done.stdout


def test_what_is_pending_is_reported_and_is_no_fault(stub):
    stub.answer = integrity(row() | {"pending": 431}, pending=431)
    done = verify(stub.url, "--all")
    assert done.returncode == 0
    heads, _, line, total = done.stdout.splitlines()
    assert heads.split()[-3:] == ["lost", "pending", "duplicates"]
    assert line.split()[-3:] == ["0", "431", "0"]
    assert total == (
        "100 readings of 1 sources: lost 0, duplicates 0; 431 pending, which may still arrive"
    )


def test_dead_letters_stand_beside_the_totals_and_have_an_exit_code(stub):
    stub.answer = integrity(row()) | {"set_aside": {"dead_letters": 1643, "refused": 0}}
    done = verify(stub.url)
    assert done.returncode == 3
    assert done.stdout.endswith(
        "100 readings of 1 sources: lost 0, duplicates 0\n"
        "1,643 messages were not readings, too old or too far ahead: "
        "sensorpipe dead shows them, from the Kafka topic sensor_readings.dead_letter\n"
    )
    assert verify(stub.url, "--ignore-dead-letters").returncode == 0


def test_what_fences_shut_out_is_reported_and_is_no_fault(stub):
    stub.answer = integrity(row()) | {"set_aside": {"dead_letters": 0, "refused": 0, "fenced": 3}}
    done = verify(stub.url)
    assert done.returncode == 0
    assert "3 partials of replaced compactors were not counted" in done.stdout


def test_partials_that_were_not_stored_are_a_fault(stub):
    stub.answer = integrity(row()) | {"set_aside": {"dead_letters": 1, "refused": 2}}
    done = verify(stub.url, "--ignore-dead-letters")
    assert done.returncode == 1
    assert "2 partials could not be stored, so all their readings" in done.stdout
    assert done.stdout.endswith("NOT every reading is stored exactly once\n")


def test_dead_letters_are_reported_where_no_readings_are_stored(stub):
    stub.answer = integrity() | {"set_aside": {"dead_letters": 40, "refused": 0}}
    done = verify(stub.url)
    assert done.returncode == 3
    assert "no readings stored yet" in done.stdout
    assert "40 messages were not readings" in done.stdout


def test_what_nobody_knows_is_no_fault(stub):
    stub.answer = integrity(row()) | {"set_aside": {"dead_letters": None, "refused": None}}
    done = verify(stub.url)
    assert done.returncode == 0
    assert done.stdout.endswith(
        "duplicates 0\n"
        "the number of dead letters is unknown: the server cannot read it from Kafka, or the "
        "token is not for all facilities\n"
    )


@pytest.mark.parametrize("totals", [{"lost": 1}, {"duplicates": 1}])
def test_a_fault_in_the_totals_alone_counts(stub, totals):
    stub.answer = integrity(row(), **totals)
    assert verify(stub.url).returncode == 1


def test_no_readings_prove_nothing_and_it_says_so(stub):
    done = verify(stub.url)
    assert done.returncode == 0
    assert done.stdout.startswith("no readings stored yet")


def test_readings_that_nobody_can_check_are_reported(stub):
    stub.answer = integrity(row(), unidentified=5)
    assert "; 5 more without src and seq, which cannot be checked" in verify(stub.url).stdout


def test_what_the_server_cannot_read_is_a_fault(stub):
    stub.answer = integrity(row(), unreadable=3)
    done = verify(stub.url)
    assert done.returncode == 1
    assert "3 stored documents, sketches or intervals cannot be read" in done.stdout
    assert done.stdout.endswith("NOT every reading is stored exactly once\n")


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
    assert line.startswith(f"cannot query {url}")


def test_the_servers_own_reason_is_reported(stub):
    stub.status, stub.answer = 503, {"detail": "MongoDB is away"}
    done = verify(stub.url)
    assert done.returncode == 2
    assert "503 MongoDB is away" in done.stderr


def test_another_servers_answer_is_exit_code_2(stub):
    stub.answer = {"hello": "world"}
    done = verify(stub.url)
    assert done.returncode == 2
    assert "not the answer of a sensorpipe server" in done.stderr


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
        (r"a\nb", r"a\\nb"),  # unlike a line feed
        ("Köln-°C", "Köln-°C"),
    ],
)
def test_foreign_text_is_shown_escaped(stub, src, shown):
    stub.answer = integrity(row(src=src))
    done = verify(stub.url, "--all", PYTHONUTF8="1")
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


def test_it_says_from_when_on_it_checks_where_older_readings_were_removed(stub):
    first = "2026-01-01T00:00:00Z"
    stub.by_query["facility=hall_1"] = integrity(row(), removed=7) | {
        "removed_before": {"hall_1": first}
    }
    stub.by_query["facility=hall_2"] = integrity(row(), removed=3) | {
        "removed_before": {"hall_2": "2026-02-01T00:00:00Z"}
    }
    done = verify(stub.url, "--facility", "hall_1")
    assert done.returncode == 0
    line = f"checked from {first} on: 7 older readings were removed by retention\n"
    assert done.stdout.endswith(f"lost 0, duplicates 0\n{line}")
    done = verify(stub.url, "--facility", "hall_1", "--facility", "hall_2")
    assert done.stdout.endswith(
        f"checked from {first} to 2026-02-01T00:00:00Z (by facility) on: "
        "10 older readings were removed by retention\n"
    )
