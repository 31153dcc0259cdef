"""Random faults against the whole pipeline, judged by a ledger of its own.

    make campaign ARGS="--runs 20"

A run that is not clean prints its seed and schedule; `--seed N --runs 1` does the same again.
"""

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final, NamedTuple

import campaign_answers
import campaign_topic
from campaign_faults import STOP_SECONDS, Faults
from campaign_feeds import Feeds
from campaign_ledger import Verdict
from campaign_parts import Parts, parts
from campaign_publisher import FACILITIES, Publisher
from campaign_schedule import TARGETS, Fault, schedule

_ABOUT: Final = "Try the pipeline under random faults; exit 0 only if every run is clean."

DRAIN_SECONDS: Final = 90.0
"""For the broker to acknowledge what is under way once the faults are over."""

RATE: Final = 300
"""Readings a second of all devices together, where facilities are few."""

MANY: Final = 100
"""Facilities from which on they are many."""

MANY_RATE: Final = 1_000
"""Readings a second then: each of 5,000 facilities sends several in a run."""

SETTLE_SECONDS: Final = 90.0
"""For all that was acknowledged to be stored after that."""

LAST_SECONDS: Final = 20.0
"""For the last look, when the server has read everything."""


class Outcome(NamedTuple):
    """What a run came to; `problems` is empty where it is clean."""

    verdict: Verdict
    verify: dict[str, Any]
    problems: list[str]
    skipped: list[str]


async def run(
    seed: int, faults: list[Fault], rate: int, folder: Path, facilities: int = FACILITIES
) -> Outcome:
    """Publish while the faults happen, and judge what is stored afterwards."""
    async with parts(folder) as running:
        publisher = Publisher(running.children["mosquitto"].port or 0, seed, rate, facilities)
        feeds = Feeds(running, publisher, seed)
        hitting = Faults(running, publisher, feeds)
        async with asyncio.TaskGroup() as tasks:
            reviving = tasks.create_task(hitting.revive(), name="revive")
            publisher.start()
            await feeds.begin()
            for fault in faults:
                await hitting.hit(fault)
            unacknowledged = await asyncio.to_thread(publisher.finish, DRAIN_SECONDS)
            verdict = await _settled(running, publisher)
            code, answer = await _verify(running)
            reviving.cancel()
    problems = hitting.stuck + _problems(verdict, code, answer, unacknowledged)
    return Outcome(verdict, answer, problems, hitting.skipped)


async def _settled(running: Parts, publisher: Publisher) -> Verdict:
    """Judge once all is stored, or time is up, and nothing more can be counted twice."""
    await _clean(running, publisher, SETTLE_SECONDS)
    await running.children["compactor"].stop(STOP_SECONDS)  # it writes what it still holds
    await campaign_topic.is_read(running.bootstrap)
    return await _clean(running, publisher, LAST_SECONDS)


async def _clean(running: Parts, publisher: Publisher, seconds: float) -> Verdict:
    """Judge until it is clean or time is up."""
    give_up = time.monotonic() + seconds
    while True:
        try:
            verdict = await asyncio.to_thread(campaign_answers.judge, publisher.ledger, running.api)
        except (OSError, HTTPException):  # it is being started again
            verdict = publisher.ledger.judge({})
        if verdict.clean or time.monotonic() > give_up:
            return verdict
        await asyncio.sleep(1)


async def _verify(running: Parts) -> tuple[int, dict[str, Any]]:
    """Return the exit code of `sensorpipe verify --wait`, and the totals it saw."""
    command = ["-m", "sensorpipe_cli", "verify", "--json", "--wait", "--url", running.api]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    totals = json.loads(output)["totals"] if output.strip() else {}
    return await process.wait(), totals


def _problems(verdict: Verdict, code: int, totals: dict[str, Any], left: int) -> list[str]:
    problems = []
    if left:
        problems.append(f"{left} readings were never acknowledged")
    if not verdict.clean:
        wrong = verdict.wrong[:5]
        problems.append(
            f"lost {verdict.lost}, duplicates {verdict.duplicates}, wrong values {wrong}"
        )
    if verdict.clean != (code == 0):
        problems.append(f"verify exited with {code} and {totals}")
    return problems


def main() -> int:
    """Make the runs; return 0 only if all are clean."""
    parser = argparse.ArgumentParser(prog="make campaign", description=_ABOUT)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seed", type=int, help="of the first run; else a random one")
    parser.add_argument("--faults", type=int, default=6, help="in each run")
    parser.add_argument("--facilities", type=int, default=FACILITIES, help="of generators")
    parser.add_argument(
        "--rate", type=int, help=f"readings a second: {RATE}, or {MANY_RATE} from {MANY} facilities"
    )
    parser.add_argument("--kinds", default=",".join(TARGETS), help="of faults, by comma")
    parser.add_argument("--keep", action="store_true", help="keep the logs of every run")
    options = parser.parse_args()
    if options.facilities < 1:
        parser.error("--facilities must be at least 1")
    if options.rate is None:
        options.rate = RATE if options.facilities < MANY else MANY_RATE
    first = random.randrange(2**31) if options.seed is None else options.seed
    failed = 0
    for seed in range(first, first + options.runs):
        failed += not _one(seed, options)
    print(f"{options.runs} runs from seed {first}: {failed} failed")
    return 1 if failed else 0


def _one(seed: int, options: argparse.Namespace) -> bool:
    """Make one run and print what it came to; return whether it is clean."""
    faults = schedule(seed, options.faults, options.kinds.split(","))
    folder = Path(tempfile.mkdtemp(prefix=f"sensorpipe-campaign-{seed}-"))
    began = time.monotonic()
    outcome = asyncio.run(run(seed, faults, options.rate, folder, options.facilities))
    seconds = time.monotonic() - began
    how = "FAILED" if outcome.problems else "clean"
    acknowledged = outcome.verdict.acknowledged
    print(f"seed {seed}: {how}, {acknowledged} readings, {len(faults)} faults, {seconds:.0f} s")
    for line in outcome.skipped:
        print(f"  skipped {line}")
    if outcome.problems:
        print(*(f"  {line}" for line in [*outcome.problems, *map(str, faults)]), sep="\n")
        print(f"  logs in {folder}", flush=True)
    elif not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return not outcome.problems


if __name__ == "__main__":
    sys.exit(main())
