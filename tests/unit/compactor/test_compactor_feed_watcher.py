"""The watcher of Feeds: what it hands on, and how often refused filters are asked for again."""

import asyncio
from pathlib import Path

import pytest
from sensorpipe_compactor.feeds import watcher as feed_watcher
from sensorpipe_compactor.feeds.feed_set import FeedSet
from sensorpipe_compactor.feeds.folder import FeedFolder
from sensorpipe_compactor.feeds.watcher import FeedWatcher

FEED = """\
apiVersion: sensorpipe.dev/v1alpha1
kind: Feed
metadata: {name: a}
spec: {topic: a/+, facility: f, readings: [{sensor: t, at: /t}]}
"""


async def test_refused_filters_are_asked_for_again_while_nothing_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_watcher, "LOOK_SECONDS", 0)
    done, calls = asyncio.Event(), []
    (tmp_path / "a.yaml").write_text(FEED)

    async def use(feeds: FeedSet) -> None:
        calls.append(feeds.filters)

    async def ask_again() -> None:
        calls.append(["again"])
        if len(calls) == 3:
            done.set()

    folder = FeedFolder(tmp_path)
    looks = 0
    really = folder.read

    def read() -> FeedSet | None:
        nonlocal looks
        looks += 1
        return really()

    monkeypatch.setattr(folder, "read", read)
    running = asyncio.create_task(FeedWatcher(folder).run(use, ask_again))
    async with asyncio.timeout(60):
        await done.wait()
    running.cancel()
    assert calls == [["a/+"], ["again"], ["again"]]
    assert looks == 2 * feed_watcher.LOOKS_BETWEEN_ASKS
