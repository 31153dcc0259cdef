"""`make bench`: every part of the pipeline against its limit, on this machine."""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import bench_access
import bench_api
import bench_append
import bench_drain
import bench_feeds
import bench_generate
import bench_growth
import bench_latency
import bench_live
import bench_operator
import bench_reduce
import bench_size
import bench_store
import bench_together
import pytest
from bench_machine import machine
from bench_result import Part
from support.services import ROOT

PARTS: dict[str, Callable[[Path], Awaitable[list[Part]]]] = {
    "compactor": bench_drain.run,
    "append": bench_append.run,
    "feeds": bench_feeds.run,
    "store": bench_store.run,
    "generator": bench_generate.run,
    "latency": bench_latency.run,
    "operator": bench_operator.run,
    "size": bench_size.run,
    "api": bench_api.run,
    "live": bench_live.run,
    "access": bench_access.run,
    "growth": bench_growth.run,
    "together": bench_together.run,
    "reduce": bench_reduce.run,
}


def main() -> None:
    """Run the parts named, or all of them."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    names = parser.parse_args().parts or list(PARTS)
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    here = machine()
    print("\n".join(f"{name:10}{value}" for name, value in here.items()), flush=True)
    results = {}
    for name in names:
        parts = _measured(name)
        print("\n".join(part.text() for part in parts), flush=True)
        results[name] = [part.json() for part in parts]
    _save({"machine": here, "parts": results})


def _measured(name: str) -> list[Part]:
    with tempfile.TemporaryDirectory(prefix="sensorpipe-bench-") as folder:
        try:
            return asyncio.run(_run(name, Path(folder)))
        except pytest.skip.Exception as reason:
            print(f"\n{name}: skipped: {reason}")
            return []


async def _run(name: str, folder: Path) -> list[Part]:
    return await PARTS[name](folder)


def _save(content: object) -> None:
    folder = ROOT / ".cache/bench"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S}.json"
    path.write_text(json.dumps(content, indent=2) + "\n")
    print(f"\nin {path.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
