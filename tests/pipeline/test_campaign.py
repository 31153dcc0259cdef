"""A short random campaign: whatever happens, the ledger and `verify` agree, and nothing is lost."""

import json
from pathlib import Path

import pytest
from campaign_run import RATE, run
from campaign_schedule import schedule


@pytest.mark.parametrize("seed", [2026, 2030, 2032])
async def test_a_short_run_is_clean(seed: int, tmp_path: Path) -> None:
    faults = schedule(seed, 4)
    outcome = await run(seed, faults, RATE, tmp_path)
    assert outcome.problems == [], (*map(str, faults), json.dumps(outcome.verify))
