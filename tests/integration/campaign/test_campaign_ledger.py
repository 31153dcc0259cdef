"""The campaign's ledger finds every reading that is missing, counted twice or changed."""

import subprocess
import sys

import pytest
from campaign_ledger import Ledger, Reading
from support.services import ROOT

START = 1_700_000_000_000
VALUES = (20.0, 21.0, 25.0)


@pytest.fixture
def ledger() -> Ledger:
    """Three readings of one window of one sensor."""
    made = Ledger()
    for seq, value in enumerate(VALUES, 1):
        made.note(Reading("hall", "temperature", "device", seq, START + seq, value))
    return made


def window(count: int = 3, low: float = 20.0, high: float = 25.0, avg: float = 22.0):
    return {
        "window": {"start_time": "2023-11-14T22:13:20Z", "end_time": "2023-11-14T22:13:30Z"},
        "count_temperature": count,
        "min_temperature": low,
        "max_temperature": high,
        "avg_temperature": avg,
    }


def test_what_is_counted_once_is_clean(ledger):
    verdict = ledger.judge({"hall": [window()]})
    assert verdict.clean
    assert verdict.acknowledged == 3


def test_a_missing_reading_is_lost(ledger):
    assert ledger.judge({"hall": [window(count=2)]}).lost == 1


def test_a_missing_window_is_lost_with_all_its_readings(ledger):
    assert ledger.judge({"hall": []}).lost == 3
    assert ledger.judge({}).lost == 3


def test_one_reading_too_many_is_a_duplicate(ledger):
    assert ledger.judge({"hall": [window(count=4)]}).duplicates == 1


def test_a_window_nobody_published_is_a_duplicate():
    assert Ledger().judge({"hall": [window()]}).duplicates == 3


def test_readings_without_an_identity_may_be_counted_again_but_not_get_lost(ledger):
    ledger.repeatable.add("hall")
    assert ledger.judge({"hall": [window(count=4, avg=23.0)]}).clean
    assert ledger.judge({"hall": [window(count=2)]}).lost == 1
    assert ledger.judge({"hall": [window(avg=23.0)]}).wrong


def test_some_facilities_can_be_judged_alone(ledger):
    ledger.note(Reading("attic", "temperature", "other", 1, START, 20.0))
    assert ledger.judge({"hall": [window()]}, ["hall"]).clean
    assert ledger.judge({"hall": [window()]}, ["hall", "attic"]).lost == 1


@pytest.mark.parametrize(
    ("changed", "name"),
    [({"low": 19.0}, "min"), ({"high": 26.0}, "max"), ({"avg": 22.0 + 1e-6}, "avg")],
)
def test_a_changed_value_is_wrong_though_the_count_is_right(ledger, changed, name):
    verdict = ledger.judge({"hall": [window(**changed)]})
    assert verdict.wrong == [f"hall {START} temperature: {name}"]
    assert not verdict.clean


def test_the_ledger_knows_nothing_of_the_product():
    script = (
        "import sys, campaign_ledger, campaign_publisher, campaign_schedule\n"
        "print([name for name in sys.modules if name.startswith('sensorpipe')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT / "tests/campaign",
    )
    assert done.stdout == "[]\n"
