"""Of operators that share a Lease one acts at any time, and another takes over when it ends."""

import asyncio
import inspect
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from sensorpipe_operator.lease.lease_keeper import new_identity
from sensorpipe_operator.names import Body
from support.kube.lease_world import NAME, World
from support.virtual_time import run_virtually

HOUR = 3600.0
DAY = 24 * HOUR
TAKEOVER_SECONDS = 30
"""Within this time another operator acts where the holder has ended without notice."""


def nobodys_lease() -> Body:
    """Return a Lease as the chart creates it."""
    namespace, name = NAME
    metadata = {"namespace": namespace, "name": name, "labels": {"of": "the chart"}}
    return {"metadata": {**metadata, "resourceVersion": "7"}}


def in_a_world(story: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Have a test begin with a release's Lease that nobody holds, on virtual time."""

    async def tell(given: dict[str, Any]) -> None:
        made = World()
        made.server.lease = nobodys_lease()
        try:
            await story(made, **given)
        finally:
            await made.end()

    def test(**given: Any) -> None:
        run_virtually(tell(given))

    signature = inspect.signature(story)
    _, *others = signature.parameters.values()
    vars(test)["__signature__"] = signature.replace(parameters=others)
    test.__name__ = story.__name__
    return test


@in_a_world
async def test_for_an_hour_one_acts_and_the_other_waits(made: World) -> None:
    first = made.start("first")
    await asyncio.sleep(1)
    second = made.start("second")
    assert set(await made.watch(HOUR)) == {"first"}
    assert (len(first.began), len(second.began)) == (1, 0)
    assert {spec["holderIdentity"] for spec in made.server.writes} == {"first"}
    assert made.server.writes[-1]["leaseTransitions"] == 1


@in_a_world
async def test_the_other_takes_over_from_a_killed_holder(made: World) -> None:
    first, second = made.start("first"), made.start("second")
    await made.watch(60)
    holder, other = (first, second) if first.acts else (second, first)
    assert made.acting() == [holder.election.identity]
    killed_at = asyncio.get_running_loop().time()
    await holder.kill()
    await made.watch(60)
    assert made.acting() == [other.election.identity]
    (began,) = other.began
    assert 10 < began - killed_at < TAKEOVER_SECONDS
    assert made.server.writes[-1]["leaseTransitions"] == 2


@in_a_world
async def test_the_other_takes_over_at_once_from_one_that_was_terminated(made: World) -> None:
    first = made.start("first")
    await made.watch(10)
    second = made.start("second")
    await made.watch(10)
    at = asyncio.get_running_loop().time()
    await first.terminate()
    assert made.server.lease is not None
    assert "holderIdentity" not in made.server.lease["spec"]
    await made.watch(10)
    assert made.acting() == ["second"]
    assert second.began[0] - at < 3


@pytest.mark.parametrize("fault", ["is_cut", "loses_answers"])
@in_a_world
async def test_a_holder_that_cannot_renew_stops_before_another_acts(
    made: World, fault: str
) -> None:
    first = made.start("first")
    await made.watch(10)
    second = made.start("second")
    await made.watch(10)
    setattr(first.line, fault, True)
    await made.watch(60)
    assert made.acting() == ["second"]
    assert first.ended[0] < second.began[0] - 3
    setattr(first.line, fault, False)
    await made.watch(60)
    assert made.acting() == ["second"]  # it does not go back


@in_a_world
async def test_while_no_request_gets_through_nobody_acts_and_then_one_does(made: World) -> None:
    first, second = made.start("first"), made.start("second")
    await made.watch(10)
    for each in (first, second):
        each.line.is_cut = True
    await made.watch(60)
    assert made.acting() == []
    for each in (first, second):
        each.line.is_cut = False
    await made.watch(TAKEOVER_SECONDS)
    assert len(made.acting()) == 1


@pytest.mark.parametrize("ahead", [-DAY, DAY])
@in_a_world
async def test_clocks_that_differ_do_not_matter(made: World, ahead: float) -> None:
    first = made.start("first", clock_ahead=ahead)
    await made.watch(10)
    second = made.start("second")
    assert set(await made.watch(600)) == {"first"}
    await first.kill()
    at = asyncio.get_running_loop().time()
    await made.watch(60)
    assert 10 < second.began[0] - at < TAKEOVER_SECONDS


@in_a_world
async def test_a_deleted_lease_passes_to_nobody_while_its_holder_lives(made: World) -> None:
    made.start("first")
    await made.watch(10)
    made.start("second")
    await made.watch(10)
    for _ in range(20):
        made.server.lease = None
        assert set(await made.watch(10)) == {"first"}
    assert made.server.lease is not None


@in_a_world
async def test_a_deleted_lease_is_made_again_where_its_holder_has_ended(made: World) -> None:
    first = made.start("first")
    await made.watch(10)
    made.start("second")
    await made.watch(10)
    await first.kill()
    made.server.lease = None
    await made.watch(TAKEOVER_SECONDS)
    assert made.acting() == ["second"]


@in_a_world
async def test_a_new_operator_does_not_take_a_deleted_lease_from_one_that_acts(made: World) -> None:
    first = made.start("first")
    await made.watch(10)
    first.line.is_cut = True
    made.server.lease = None
    made.start("second")
    await made.watch(TAKEOVER_SECONDS)
    assert made.acting() == ["second"]


@pytest.mark.parametrize("seed", range(3))
@in_a_world
async def test_in_an_hour_of_faults_there_are_never_two(made: World, seed: int) -> None:
    """Cut lines, lost answers, slow requests, kills and terminations, at random."""
    chance = random.Random(seed)
    names = (f"operator-{number}" for number in range(1000))
    running = [made.start(next(names), chance=chance) for _ in range(2)]
    acted = 0.0
    for _ in range(round(HOUR / 20)):
        number = chance.randrange(2)
        one = running[number]
        match chance.choice(("cut", "lose", "kill", "terminate", "delete", "heal", "heal")):
            case "cut":
                one.line.is_cut = True
            case "lose":
                one.line.loses_answers = True
            case "kill":
                await one.kill()
            case "terminate":
                one.line.is_cut = one.line.loses_answers = False
                await one.terminate()
            case "delete":
                made.server.lease = None
            case _:
                one.line.is_cut = one.line.loses_answers = False
        if not one.is_running:
            running[number] = made.start(
                next(names), clock_ahead=chance.uniform(-DAY, DAY), chance=chance
            )
        shares = await made.watch(20)
        acted += sum(seconds for name, seconds in shares.items() if name)
    assert acted > HOUR / 4  # the test would prove nothing of operators that never act


@in_a_world
async def test_what_others_wrote_into_the_lease_stays(made: World) -> None:
    made.start("first")
    await made.watch(5)
    assert made.acting() == ["first"]
    lease = made.server.lease
    assert lease is not None
    assert lease["metadata"]["labels"] == {"of": "the chart"}
    assert lease["spec"].items() >= {"holderIdentity": "first"}.items()


@in_a_world
async def test_a_malformed_lease_ends_nothing(
    made: World, caplog: pytest.LogCaptureFixture
) -> None:
    made.server.lease = {"metadata": {"resourceVersion": "7"}, "spec": "nonsense"}
    only = made.start("first")
    await made.watch(10)
    assert only.is_running
    assert made.acting() == []
    assert "The Lease cannot be kept" in caplog.text
    made.server.lease = nobodys_lease()
    await made.watch(10)
    assert made.acting() == ["first"]


def test_no_two_processes_have_the_same_identity() -> None:
    assert len({new_identity() for _ in range(100)}) == 100
