"""Waiting ends when something holds, or says in time what it saw last."""

import asyncio

import pytest
from support.waiting import eventually, in_thread, until

SOON = 0.05


async def test_a_condition_that_comes_to_hold_ends_the_wait():
    seen: list[int] = []
    task = asyncio.create_task(eventually(lambda: len(seen) == 2))
    for number in range(2):
        await asyncio.sleep(0)
        seen.append(number)
    await task


def test_a_condition_is_looked_at_even_where_no_time_is_left():
    until(lambda: True, seconds=0)


async def test_what_does_not_come_is_reported_with_what_was_compared():
    heard = [1, 2]
    with pytest.raises(AssertionError) as failure:
        await eventually(lambda: len(heard) == 3 and bool(heard), seconds=SOON)
    assert str(failure.value).splitlines() == [
        "not within 0.05 s: len(heard) == 3 and bool(heard)",
        "len(heard) is 2",
    ]


def test_blocking_tells_the_same_with_how_things_stood():
    limits = {"a": 1}
    for least in (2,):
        with pytest.raises(AssertionError) as failure:
            until(
                lambda n=least: any(x >= n for x in limits.values()),  # type: ignore[misc]
                state=lambda: "a log",
                seconds=SOON,
            )
    assert str(failure.value).splitlines() == [
        "not within 0.05 s: any((x >= n for x in limits.values()))",
        "n is 2",
        "limits.values() is dict_values([1])",
        "a log",
    ]


async def test_of_two_conditions_in_a_line_the_right_one_is_reported():
    one, other = (lambda: len("ab") == 1, lambda: len("abc") == 2)
    for condition, told in ((one, "len('ab') is 2"), (other, "len('abc') is 3")):
        with pytest.raises(AssertionError, match=told.replace("(", r"\(").replace(")", r"\)")):
            await eventually(condition, seconds=SOON)


async def test_a_condition_in_a_thread_is_reported_as_it_is_written():
    with pytest.raises(AssertionError, match=r"not within 0.05 s: len\('a'\) == 2\n.* is 1"):
        await eventually(in_thread(lambda: len("a") == 2), seconds=SOON)


async def test_a_condition_with_a_name_is_reported_by_it():
    async def is_stored() -> bool:
        return False

    with pytest.raises(AssertionError, match=r"not within 0.05 s: .*is_stored$"):
        await eventually(is_stored, seconds=SOON)


async def test_a_condition_that_does_not_answer_is_ended_as_well():
    async def never() -> bool:
        return bool(await asyncio.Event().wait())

    with pytest.raises(AssertionError, match=r"not within 0.05 s: .*never$"):
        await eventually(never, seconds=SOON)


async def test_what_a_condition_raises_is_raised():
    def fails() -> bool:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        await eventually(fails)


def test_a_long_value_is_reported_by_its_end():
    log = "x" * 5_000 + "the end"
    with pytest.raises(AssertionError) as failure:
        until(lambda: "wanted" in log, seconds=0)
    told = str(failure.value).splitlines()[1]
    assert told.startswith("log is …x")
    assert told.endswith("the end'")
    assert len(told) < 1_100
