"""`sensorpipe verify --wait`: when an answer counts as settled."""

import json

import pytest
from sensorpipe_cli.client.http import RequestError
from sensorpipe_cli.commands.verify import SETTLED_SECONDS, wait_until_settled


def answer(*, pending: int) -> bytes:
    """Return an answer of the server with so many readings pending."""
    sums = {"count": 100, "lost": 0, "duplicates": 0, "unidentified": 0, "sources": 0}
    return json.dumps({"data": [], "totals": sums | {"pending": pending}}).encode()


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
            raise RequestError("away")
        return b"%d" % min(clock.now, 20)

    assert wait_until_settled(fetch, 60, clock, clock.sleep) == b"20"
    assert clock.now == 20 + SETTLED_SECONDS


def test_wait_does_not_settle_on_a_server_that_went_away():
    clock = Clock()

    def fetch() -> bytes:
        if 0 < clock.now < 40:
            raise RequestError("away")
        return b"0" if clock.now == 0 else b"40"

    assert wait_until_settled(fetch, 120, clock, clock.sleep) == b"40"
    assert clock.now == 40 + SETTLED_SECONDS


def test_wait_gives_up_on_a_server_that_does_not_come_back():
    clock = Clock()

    def fetch() -> bytes:
        if clock.now > 0:
            raise RequestError("away")
        return b"0"

    with pytest.raises(RequestError):
        wait_until_settled(fetch, 60, clock, clock.sleep)
    assert clock.now == 60


def test_wait_takes_an_answer_as_unchanged_only_while_the_server_gives_it():
    clock = Clock()

    def fetch() -> bytes:
        if clock.now == 10:
            raise RequestError("away")
        return b"0"

    assert wait_until_settled(fetch, 60, clock, clock.sleep) == b"0"
    assert clock.now == 10 + SETTLED_SECONDS


def test_wait_judges_what_there_is_when_time_is_up():
    clock = Clock()
    assert wait_until_settled(lambda: b"%d" % clock.now, 60, clock, clock.sleep) == b"60"


def test_wait_goes_on_while_anything_is_pending():
    clock = Clock()

    def fetch() -> bytes:
        return answer(pending=3 if clock.now < 30 else 0)

    body = wait_until_settled(fetch, 60, clock, clock.sleep)
    assert json.loads(body)["totals"]["pending"] == 0
    assert clock.now == 30 + SETTLED_SECONDS


def test_wait_judges_what_is_pending_for_ever_when_time_is_up():
    clock = Clock()
    body = answer(pending=3)
    assert wait_until_settled(lambda: body, 60, clock, clock.sleep) == body
    assert clock.now == 60


def test_wait_gives_up_on_a_server_that_never_answers():
    clock = Clock()

    def fetch() -> bytes:
        raise RequestError("away")

    with pytest.raises(RequestError):
        wait_until_settled(fetch, 60, clock, clock.sleep)
    assert clock.now == 60
