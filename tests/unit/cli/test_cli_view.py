"""What `sensorpipe up` shows of a run, in a terminal and in plain lines."""

import dataclasses

import pytest
from rich.console import Console
from sensorpipe_cli.client.api import Latest, SetAside, Totals
from sensorpipe_cli.client.figures import Figures, PartState, Rate, Snapshot
from sensorpipe_cli.commands.summary import exit_code, lines
from sensorpipe_cli.runner.runner import Ending
from sensorpipe_cli.views.live import render
from sensorpipe_cli.views.plain import StatusLines, status

AVERAGES = {"humidity": 50.123456, "pressure": 1013.2, "temperature": 20.0}


def facility(windows: int) -> Latest:
    return Latest(windows, "2026-01-01T10:00:00Z", "2026-01-01T10:00:10Z", AVERAGES)


FIGURES = Figures(
    published=12_345,
    rate=1.8,
    stored=12_300,
    totals=Totals(count=12_300, lost=2, duplicates=0, sources=9),
    facilities={"facility_1": facility(1_234), "facility_2": facility(7), "facility_3": None},
)
PARTS = (
    PartState("mqtt-broker", "ready", "mqtt://127.0.0.1:21001"),
    PartState("kafka-broker", "ready", "127.0.0.1:21002"),
    PartState("mongodb", "ready", "mongodb://127.0.0.1:21003/sensorpipe"),
    PartState("server", "ready", "http://127.0.0.1:8080"),
    PartState("compactor", "starting", "http://127.0.0.1:21004"),
    PartState("generator facility-1", "waiting", "http://127.0.0.1:21005"),
)
LINKS = (("API", "http://127.0.0.1:8080/api/facilities"), ("logs", "/tmp/sensorpipe-x/logs"))
EVENTS = ("mqtt-broker: ready at mqtt://127.0.0.1:21001", "running")
SNAPSHOT = Snapshot(EVENTS, "running", 75.0, 600.0, PARTS, LINKS, FIGURES)


def drawn(snapshot: Snapshot, width: int, height: int = 40) -> list[str]:
    console = Console(width=width, height=height, color_system=None)
    with console.capture() as capture:
        console.print(render(snapshot, console))
    return capture.get().splitlines()


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_the_view_shows_everything_at_every_width(width):
    shown = drawn(SNAPSHOT, width)
    text = "\n".join(shown)
    assert max(map(len, shown)) <= width
    assert "…" not in text
    assert "1:15 of 10:00" in text
    for word in ("1.8", "12,345", "12,300", "1,241", "readings/s", "lost", "duplicates"):
        assert word in text
    assert "10:00:00 - 10:00:10" in text
    for value in ("50.12", "1,013.20", "20.00"):
        assert value in text
    assert "none yet" in text
    for part in PARTS:
        assert part.name in text
        assert part.address in text
    for _, url in LINKS:
        assert url in text


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 24), (80, 40)])
def test_the_view_never_outgrows_the_terminal(width, height):
    facilities: dict[str, Latest | None] = {
        f"facility_{number:03}": facility(number) for number in range(200)
    }
    generators = tuple(PartState(f"generator g{n}", "ready", "http://x:1") for n in range(200))
    refused = {f"reason_{number:02}": 1 for number in range(30)}
    figures = dataclasses.replace(FIGURES, facilities=facilities, others=1, refused=refused)
    crowded = dataclasses.replace(SNAPSHOT, figures=figures, parts=PARTS[:5] + generators)
    shown = drawn(crowded, width, height)
    assert len(shown) <= height
    assert any(" more" in line for line in shown)
    assert any("204 ready, 1 starting" in line for line in shown)


def test_many_generators_are_one_line_a_state():
    generators = tuple(PartState(f"generator g{n}", "ready", "http://x:1") for n in range(200))
    shown = drawn(dataclasses.replace(SNAPSHOT, parts=PARTS[:5] + generators), 80)
    assert any("200 generators" in line and "ready" in line for line in shown)
    assert len(shown) < 40


def test_sensors_that_do_not_fit_leave_the_rest_whole():
    averages = {f"sensor_{number:02}_with_a_long_name": 1.0 for number in range(32)}
    latest = Latest(3, "2026-01-01T10:00:00Z", "2026-01-01T10:00:10Z", averages)
    figures = dataclasses.replace(FIGURES, facilities={"facility_1": latest})
    shown = "\n".join(drawn(dataclasses.replace(SNAPSHOT, figures=figures), 80))
    assert "sensor_00_with_a_long_name" in shown
    assert "10:00:00 - 10:00:10" in shown
    assert "sensor_31" not in shown


def test_before_anything_answers_the_view_makes_nothing_up():
    empty = Snapshot((), "starting the services", 0.0, None, PARTS, LINKS, Figures())
    shown = "\n".join(drawn(empty, 80))
    assert "starting the services" in shown
    assert " - " in shown


def test_plain_lines_tell_each_change_once():
    status_lines = StatusLines()
    first = list(status_lines.update(SNAPSHOT))
    assert first == [*EVENTS, *(f"{what}: {url}" for what, url in LINKS)]
    assert list(status_lines.update(SNAPSHOT)) == []
    later = dataclasses.replace(SNAPSHOT, elapsed=80.5)
    (line,) = status_lines.update(later)
    assert line == f"1:20: {status(FIGURES)}"
    assert "lost 2, duplicates 0" in line
    assert all(line.isascii() and line.isprintable() for line in first)


def test_readings_of_others_are_shown_apart_where_there_are_any() -> None:
    with_others = dataclasses.replace(FIGURES, others=25_875)
    assert "12345 published, 12300 stored, 25875 of others, 1241 windows" in status(with_others)
    assert "of others" not in status(FIGURES)
    many = {"bad_val": 2, "not_an_object": 1}
    shown = drawn(
        dataclasses.replace(SNAPSHOT, figures=dataclasses.replace(with_others, refused=many)), 80
    )
    assert [line.strip() for line in shown[6:8]] == [
        "stored of others: 25,875",
        "refused: 3 (bad_val 2, not_an_object 1)",
    ]
    assert not any("…" in line for line in shown)
    told = lines(Ending.DONE, with_others, 60.0, None)
    assert [line.split()[-1] for line in told if line.startswith("stored of others")] == ["25,875"]


def figures(
    stored: int = 10, lost: int = 0, duplicates: int = 0, aside: SetAside | None = None
) -> Figures:
    totals = Totals(count=10, lost=lost, duplicates=duplicates)
    return Figures(published=10, stored=stored, totals=totals, set_aside=aside or SetAside())


def test_the_summary_tells_what_was_set_aside_since_the_start():
    aside = SetAside(8, 2).since(SetAside(3, None))
    assert aside == SetAside(5, 2)
    told = lines(Ending.DONE, figures(aside=aside), 60.0, None)
    assert [line.split() for line in told if "letters" in line or "refused" in line] == [
        ["refused", "partials", "2"],
        ["dead", "letters", "5"],
    ]
    assert SetAside(None, 1).since(SetAside(3, 2)) == SetAside(None, 0)


@pytest.mark.parametrize(
    ("ending", "known", "code"),
    [
        (Ending.DONE, figures(), 0),
        (Ending.DONE, figures(lost=1), 1),
        (Ending.DONE, figures(duplicates=1), 1),
        (Ending.DONE, figures(lost=1, duplicates=1), 1),
        (Ending.DONE, figures(stored=9), 1),
        (Ending.DONE, Figures(), 1),
        (Ending.DONE, figures(aside=SetAside(0, 0)), 0),
        (Ending.DONE, figures(aside=SetAside(5, 0)), 3),
        (Ending.DONE, figures(aside=SetAside(None, 1)), 1),
        (Ending.DONE, figures(lost=1, aside=SetAside(5, 0)), 1),
        (Ending.FAILED, figures(), 1),
        (Ending.EARLY, Figures(), 130),
        (Ending.AT_ONCE, figures(), 130),
    ],
)
def test_only_a_run_that_stored_everything_once_succeeds(ending, known, code):
    assert exit_code(ending, known) == code


def test_the_summary_says_what_is_missing():
    told = "\n".join(lines(Ending.DONE, figures(stored=7), 10.0, None))
    assert "3 published readings were not stored in time" in told


def test_the_rate_is_over_the_last_ten_seconds():
    rate = Rate()
    rates = [rate.observe(second, second * 5) for second in range(30)]
    assert rates[0] == 0
    assert rates[-1] == pytest.approx(5)
    for second in range(30, 45):
        last = rate.observe(second, 145)
    assert last == 0
