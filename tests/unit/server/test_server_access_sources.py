"""Keys that are fetched: when the issuer is asked, and what is used while it is away."""

import asyncio
import logging

import pytest
from sensorpipe_server.access.rules import parse
from sensorpipe_server.access.tokens import Claimed
from sensorpipe_server.api.access.discovery import FetchError
from sensorpipe_server.api.access.sources import MOST_WAITING, FetchedKeys, NoKeysError
from support.tokens import AUDIENCE, ISSUER, private_key, verifying

HOUR = 3600.0


class Provider:
    """An issuer whose keys, failures and clock a test decides."""

    def __init__(self, tmp_path, *kids):
        self.kids = kids
        self.asked = 0
        self.now = 1000.0
        self.is_away = False
        self.gate = asyncio.Event()
        self.gate.set()
        rules = parse({"issuers": [{"issuer": ISSUER, "audiences": [AUDIENCE]}]})
        self.source = FetchedKeys(rules.issuers[0], tmp_path, self.fetch, lambda: self.now)

    async def fetch(self, _issuer, _ca_file):
        self.asked += 1
        await self.gate.wait()
        if self.is_away:
            raise FetchError("no answer within 10 s")
        return verifying(*(private_key(kid) for kid in self.kids))

    async def kids_for(self, kid):
        """Return the kids that are used for a token with this one."""
        found = await self.source.keys_for(Claimed(ISSUER, "RS256", kid))
        return [each.kid for each in found]


@pytest.fixture
def provider(tmp_path):
    return Provider(tmp_path, "a")


async def test_keys_are_fetched_once_for_many_tokens(provider):
    for _ in range(100):
        assert await provider.kids_for("a") == ["a"]
    assert provider.asked == 1


async def test_a_new_key_is_fetched_when_a_token_needs_it(provider):
    await provider.kids_for("a")
    provider.kids = ("b", "c")
    provider.now += 31
    assert await provider.kids_for("c") == ["b", "c"]
    assert provider.asked == 2


async def test_a_flood_of_unknown_keys_asks_once_in_30_seconds(provider):
    await provider.kids_for("a")
    for number in range(480):
        provider.now += 0.125
        assert await provider.kids_for(f"unknown-{number}") == ["a"]
    assert provider.asked == 1 + 2


async def test_all_that_wait_for_the_same_new_key_get_it_of_one_fetch(provider):
    await provider.kids_for("a")
    provider.kids, provider.now = ("a", "b"), provider.now + 31
    provider.gate.clear()
    waiting = [asyncio.create_task(provider.kids_for("b")) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(NoKeysError):  # no more may wait, so that requests for others have room
        await provider.kids_for("b")
    assert await provider.kids_for("a") == ["a"]
    provider.gate.set()
    assert await asyncio.gather(*waiting) == [["a", "b"]] * MOST_WAITING
    assert provider.asked == 2
    assert await provider.kids_for("b") == ["a", "b"]


async def test_known_keys_are_used_for_a_day_while_the_issuer_is_away(provider, caplog):
    caplog.set_level(logging.INFO)
    await provider.kids_for("a")
    provider.is_away = True
    for _ in range(23):
        provider.now += HOUR
        await provider.source.refresh()
        assert await provider.kids_for("a") == ["a"]
        assert await provider.kids_for("unknown") == ["a"]
    assert provider.asked == 24
    provider.now += HOUR
    with pytest.raises(NoKeysError):
        await provider.kids_for("a")
    provider.is_away, provider.now = False, provider.now + 31
    assert await provider.kids_for("a") == ["a"]
    said = [each for each in caplog.records if each.levelno >= logging.INFO]
    assert said[0].message.startswith("The keys of an issuer cannot be fetched")
    assert (said[0].issuer, said[0].error) == (ISSUER, "no answer within 10 s")
    assert said[-1].message == "The keys of the issuer are fetched again"


async def test_an_issuer_that_was_never_reached_has_no_keys_and_is_asked_seldom(provider):
    provider.is_away = True
    for _ in range(10):
        with pytest.raises(NoKeysError):
            await provider.kids_for("a")
        provider.now += 6
    assert provider.asked == 2


async def test_a_withdrawn_key_is_gone_after_the_next_refresh(provider):
    provider.kids = ("a", "b")
    await provider.kids_for("b")
    provider.kids = ("a",)
    provider.now += 599
    await provider.source.refresh()
    assert await provider.kids_for("b") == ["a", "b"]
    provider.now += 1
    await provider.source.refresh()
    assert await provider.kids_for("b") == ["a"]
    assert provider.asked == 2
