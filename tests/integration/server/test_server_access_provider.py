"""Keys that rotate under load, and an issuer that is away: over HTTP, with a real HTTPS issuer."""

import asyncio
import time
from collections import Counter
from contextlib import asynccontextmanager

import httpx2
import pytest
from sensorpipe_server.api.access.access import Access
from sensorpipe_server.api.http.metrics import REGISTRY
from sensorpipe_server.api.routes import application
from support.hand_clock import HandClock
from support.issuers import HttpsIssuer
from support.live_streams import served
from support.server_process import Server
from support.tokens import access_file, grant, private_key
from support.waiting import eventually

pytest_plugins = ["support.server_fixtures"]

PATH = "/api/facilities"
CLIENTS = 50
OLD, NEW = "key-1", "next"
KEYS = {OLD: private_key(), NEW: private_key(NEW)}
MINUTE = 60.0


class Api:
    """The API, the issuer of its tokens, and a clock for the fetches of keys."""

    def __init__(self, access, issuer, client):
        self.issuer = issuer
        self.client = client
        (self.source,) = access._sources.values()

    def token(self, kid=OLD, **changed):
        now = time.time()
        return self.issuer.token(KEYS[kid], exp=now + 3600, iat=now, **changed)

    async def status(self, token):
        answer = await self.client.get(PATH, headers={"Authorization": f"Bearer {token}"})
        return answer.status_code


@pytest.fixture
def clock():
    return HandClock(1000.0)


@pytest.fixture
async def api(db, clock, tmp_path):
    async with HttpsIssuer(tmp_path) as issuer:
        path = access_file(tmp_path, grant(["read"], ["*"], subject="*"), issuers=[issuer.entry()])
        access = Access(path, monotonic=clock)
        app = application(db, page_limit=20, access=access)
        limits = httpx2.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
        async with (
            served(app) as port,
            httpx2.AsyncClient(
                base_url=f"http://127.0.0.1:{port}", limits=limits, timeout=60
            ) as client,
        ):
            await access._sources[issuer.url].refresh()
            yield Api(access, issuer, client)


def refused(reason):
    name = "sensorpipe_server_access_refused_total"
    return REGISTRY.get_sample_value(name, {"reason": reason}) or 0


def fetches(result):
    name = "sensorpipe_server_access_key_fetches_total"
    return REGISTRY.get_sample_value(name, {"result": result}) or 0


class Crowd:
    """Clients that ask again and again, each with tokens of its own."""

    def __init__(self, api):
        self._api = api
        self.kid = OLD
        """The key that tokens are signed with now."""
        self.answers: Counter[tuple[str, int]] = Counter()
        """By key, how often there was which status."""
        self._tokens = {
            kid: [api.token(kid, sub=f"client-{number}") for number in range(CLIENTS)]
            for kid in (OLD, NEW)
        }

    async def _client(self, number):
        while True:
            kid = self.kid
            status = await self._api.status(self._tokens[kid][number])
            self.answers[kid, status] += 1

    @asynccontextmanager
    async def asking(self):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._client(number)) for number in range(CLIENTS)]
            yield
            for task in tasks:
                task.cancel()

    async def more(self, kid, status, count=2 * CLIENTS):
        """Return once there are so many more answers of a kind."""
        enough = self.answers[kid, status] + count
        await eventually(lambda: self.answers[kid, status] >= enough, state=lambda: self.answers)


async def test_keys_rotate_under_load_without_a_refusal_of_a_valid_token(api, clock):
    crowd = Crowd(api)
    before, fetched = refused("key"), fetches("fetched")
    async with crowd.asking():
        await crowd.more(OLD, 200)
        api.issuer.keys = tuple(KEYS.values())
        clock.now += 600
        await api.source.refresh()
        crowd.kid = NEW
        await crowd.more(NEW, 200)
        crowd.kid = OLD  # tokens of both are in use for as long as the old ones are valid
        await crowd.more(OLD, 200)
        assert {status for _, status in crowd.answers} == {200}
        crowd.kid = NEW
        await crowd.more(NEW, 200)
        api.issuer.keys = (KEYS[NEW],)
        clock.now += 600
        await api.source.refresh()
        crowd.answers.clear()
        await crowd.more(NEW, 200)
        assert {status for _, status in crowd.answers} == {200}
        crowd.kid = OLD
        await crowd.more(OLD, 401)
        crowd.kid = NEW
        await crowd.more(NEW, 200)
    assert crowd.answers[OLD, 200] == 0
    assert crowd.answers[NEW, 401] == 0
    assert refused("key") - before >= crowd.answers[OLD, 401]
    assert fetches("fetched") == fetched + 2
    assert await api.status(api.token(OLD)) == 401


async def test_a_new_key_that_nobody_announced_is_known_to_all_after_one_fetch(api, clock):
    crowd = Crowd(api)
    fetched = fetches("fetched")
    async with crowd.asking():
        await crowd.more(OLD, 200)
        api.issuer.keys = tuple(KEYS.values())
        clock.now += 31
        crowd.kid = NEW
        await crowd.more(NEW, 200)
    # those that came while eight others waited for the fetch are asked to come again
    assert {status for kid, status in crowd.answers if kid == NEW} <= {200, 503}
    assert {status for kid, status in crowd.answers if kid == OLD} == {200}
    assert fetches("fetched") == fetched + 1


async def test_while_the_issuer_is_away_for_an_hour_known_keys_do(api, clock):
    await api.issuer.stop()
    before, failed, fetched = refused("key"), fetches("failed"), fetches("fetched")
    for _ in range(60):
        clock.now += MINUTE
        await api.source.refresh()
        assert await api.status(api.token()) == 200
        assert await api.status(api.token(NEW)) == 401
    assert refused("key") == before + 60
    # each minute by a token with an unknown key, or by itself
    assert 51 <= fetches("failed") - failed <= 60
    assert fetches("fetched") == fetched
    await api.issuer.start()
    api.issuer.keys = (KEYS[NEW],)
    clock.now += MINUTE
    assert await api.status(api.token(NEW)) == 200
    assert await api.status(api.token()) == 401


async def test_a_program_whose_issuer_is_away_says_so_and_finds_it_again(tmp_path):
    server = Server(tmp_path)
    issuer = HttpsIssuer(tmp_path)
    path = access_file(tmp_path, grant(["read"], ["*"], subject="*"), issuers=[issuer.entry()])
    now = time.time()
    good = {"Authorization": f"Bearer {issuer.token(exp=now + 3600, iat=now)}"}
    other = issuer.token(KEYS[NEW], exp=now + 3600, iat=now)
    async with server.restricted(path) as (client, probes):
        answer = await client.get(PATH, headers=good)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "keys of the token's issuer cannot be fetched" in answer.json()["detail"]

        async def has(line):
            return line in (await probes.get("/metrics")).text.splitlines()

        await eventually(
            lambda: has('sensorpipe_server_access_refused_total{reason="no_keys"} 1.0')
        )
        await eventually(
            lambda: has('sensorpipe_server_access_key_fetches_total{result="failed"} 1.0')
        )
        async with issuer:

            async def is_let_in():
                return (await client.get(PATH, headers=good)).status_code == 200

            await eventually(is_let_in)  # asked again 30 s after the failure
        assert (await client.get(PATH, headers=good)).status_code == 200
        unknown = await client.get(PATH, headers={"Authorization": f"Bearer {other}"})
        assert unknown.status_code == 401
        await eventually(
            lambda: has('sensorpipe_server_access_key_fetches_total{result="fetched"} 1.0')
        )
