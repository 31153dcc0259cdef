"""The Feeds in manifests/feeds: what they make of messages as devices' vendors document them."""

from typing import Any

import pytest
from sensorpipe_schema.feed.decoder import FeedDecoder
from support.feeds import NOW, SHIPPED, captures, shipped

CAPTURES = captures()


@pytest.mark.parametrize("message", CAPTURES, ids=lambda m: m["source"].split("//")[-1])
def test_a_captured_message_gives_its_readings(message: dict[str, Any]) -> None:
    decoder = FeedDecoder(shipped(message["feed"]))
    payload = message["payload"].encode()
    found = decoder.decode(message["topic"], payload, NOW)
    assert {name: value for each in found for name, value in each.values} == message["values"]
    for each in found:
        assert each.facility == message["facility"]
        assert each.ts == message.get("ts", NOW)
        assert (each.src, each.seq) == (message.get("src"), message.get("seq", 0))


def test_every_shipped_feed_has_a_captured_message_with_readings() -> None:
    names = {file.stem for file in SHIPPED.iterdir()}
    assert names == {message["feed"] for message in CAPTURES if message["values"]}
    assert names == {shipped(name).name for name in names}
    assert len(names) >= 13


def test_every_capture_says_where_it_is_from() -> None:
    assert all("https://" in message["source"] for message in CAPTURES)
