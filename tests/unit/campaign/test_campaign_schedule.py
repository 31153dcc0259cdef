"""A run of the campaign can be made again from its seed."""

import pytest
from campaign_schedule import TARGETS, USUAL, schedule


def test_the_same_seed_gives_the_same_faults():
    assert schedule(7, 20) == schedule(7, 20)
    assert schedule(7, 20) != schedule(8, 20)


def test_every_kind_of_fault_comes_up_and_hits_only_what_it_may():
    faults = schedule(1, 500, tuple(TARGETS))
    assert {fault.kind for fault in faults} == set(TARGETS)
    assert all(fault.target in TARGETS[fault.kind] for fault in faults)


def test_a_run_tries_the_usual_kinds_unless_told_otherwise():
    assert {fault.kind for fault in schedule(1, 500)} == set(USUAL)


def test_only_the_kinds_asked_for_come_up():
    assert {fault.kind for fault in schedule(1, 50, ["kill", "stop"])} == {"kill", "stop"}


@pytest.mark.parametrize("kind", ["clock", "ahead"])
def test_a_fault_says_when_what_and_for_how_long(kind: str):
    stepped = schedule(3, 1, [kind])[0]
    assert f"{kind} {stepped.target} by {stepped.step:+d} s for {stepped.seconds:.2f} s" in str(
        stepped
    )
