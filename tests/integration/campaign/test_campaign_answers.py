"""What the API says of many facilities at once is judged as strictly as their windows."""

import json

import pytest
from campaign_answers import by_facility
from campaign_ledger import Ledger, Reading
from campaign_publisher import Publisher

START = 1_700_000_000_000


@pytest.fixture
def ledger() -> Ledger:
    """One reading of each of three facilities, and a second one of the last."""
    made = Ledger()
    for number in range(3):
        made.note(Reading(f"hall_{number}", "pressure", "device", 1, START, 20.0))
    made.note(Reading("hall_2", "pressure", "device", 2, START + 20_000, 22.0))
    return made


def row(facility: str, time: str = "2023-11-14T22:13:20Z", count: int = 1, value: float = 20.0):
    values = {"count": count, "min": value, "max": value, "avg": value, "complete": True}
    return json.dumps({"time": time, "facility": facility, "sensor": "pressure"} | values)


ROWS = [row(f"hall_{number}") for number in range(3)]
LAST = row("hall_2", "2023-11-14T22:13:40Z", value=22.0)


def test_all_windows_of_all_facilities_are_clean(ledger):
    assert ledger.judge(by_facility([*ROWS, LAST])).clean


def test_a_missing_row_is_lost(ledger):
    verdict = ledger.judge(by_facility([*ROWS[1:], LAST]))
    assert (verdict.lost, verdict.duplicates) == (1, 0)


def test_a_reading_in_a_wrong_facility_is_lost_and_a_duplicate(ledger):
    verdict = ledger.judge(by_facility([row("cellar"), *ROWS[1:], LAST]))
    assert (verdict.lost, verdict.duplicates) == (1, 1)


def test_a_row_counted_twice_is_a_duplicate_and_a_changed_value_is_wrong(ledger):
    verdict = ledger.judge(
        by_facility([row("hall_0", count=2), row("hall_1", value=20.5), *ROWS[2:], LAST])
    )
    assert verdict.duplicates == 1
    assert verdict.wrong == [f"hall_1 {START} pressure: {name}" for name in ("min", "max", "avg")]


def test_the_span_is_from_the_first_window_to_the_last(ledger):
    assert ledger.span == (START, START + 20_000)


def test_the_publisher_spreads_its_readings_over_all_facilities():
    publisher = Publisher(1, seed=1, rate=1, facilities=5_000)
    assert len(publisher.series) == 10_000
    assert {facility for facility, _ in publisher.series} == {f"hall_{n}" for n in range(1, 5_001)}
