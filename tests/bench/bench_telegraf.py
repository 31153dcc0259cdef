"""A peer of the compactor: Telegraf, with its MQTT consumer, a window aggregator and Kafka.

Its windows are 10 s of the wall clock. It acknowledges a reading once the aggregator has counted
it, before anything is durable.
"""

import os
from pathlib import Path

import pytest
from support.services import ROOT

PROGRAM = Path(os.environ.get("SENSORPIPE_BENCH_TELEGRAF", ROOT / ".cache/telegraf/telegraf"))

TOPIC = "telegraf"
"""The Kafka topic that it writes summaries to."""

MISSING = "no Telegraf here; `make bench-telegraf` builds it (Go)"

CONFIG = Path(__file__).parent / "telegraf/telegraf.conf"


def is_there() -> bool:
    """Return whether it was built."""
    return PROGRAM.is_file()


def command() -> list[str]:
    """Return the command that runs Telegraf, or skip with the one that builds it."""
    if not is_there():
        pytest.skip(MISSING)
    return [str(PROGRAM), "--config", str(CONFIG)]
