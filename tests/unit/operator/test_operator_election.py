"""What an operator concludes from a Lease, and that it writes nothing while it may not act."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from sensorpipe_operator.kube_api import ApiError, KubeApi
from sensorpipe_operator.lease.election import Claim, Election
from sensorpipe_operator.names import Key, Kind
from sensorpipe_operator.workqueue import WorkQueue
from support.kube.operator_parts import listed, sensor_body
from support.waiting import eventually

OTHERS = Claim("other", 15, "t0", "t0", 3)


NOBODYS = Claim("", 0, "", "", -1)


class Now:
    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_the_deadline_counts_from_when_a_renewal_was_sent() -> None:
    now = Now()
    election = Election("me", now)
    assert election.wanted("t1") is None  # nothing is known of the Lease yet
    election.see(NOBODYS)
    claim = election.wanted("t1")
    assert claim == Claim("me", 15, "t1", "t1", 0)
    began, now.seconds = now.seconds, now.seconds + 4
    election.written(claim, began)
    assert election.seconds_left == pytest.approx(6)
    now.seconds += 6
    assert not election.leads


def test_one_that_sees_another_holder_stops_at_once() -> None:
    election = Election("me", Now())
    election.see(NOBODYS)
    claim = election.wanted("t1")
    assert claim is not None
    election.written(claim, 100.0)
    assert election.seconds_left > 0
    election.see(OTHERS)
    assert election.seconds_left == 0
    assert election.wanted("t2") is None


def test_only_a_lease_seen_unchanged_for_its_duration_is_taken() -> None:
    now = Now()
    election = Election("me", now)
    election.see(OTHERS)
    now.seconds += 14.9
    election.see(OTHERS)
    assert election.wanted("t1") is None
    election.see(Claim("other", 15, "t0", "t1", 3))  # renewed
    now.seconds += 14.9
    assert election.wanted("t2") is None
    now.seconds += 0.2
    assert election.wanted("t2") == Claim("me", 15, "t2", "t2", 4)


def test_the_holder_says_for_how_long_the_lease_is_valid() -> None:
    now = Now()
    election = Election("me", now)
    election.see(Claim("other", 60, "t0", "t0", 3))
    now.seconds += 59
    assert election.wanted("t1") is None
    now.seconds += 2
    assert election.wanted("t1") is not None


def test_a_renewal_keeps_when_the_lease_was_acquired() -> None:
    election = Election("me", Now())
    election.see(Claim("", 1, "t0", "t0", 5))
    taken = election.wanted("t1")
    assert taken == Claim("me", 15, "t1", "t1", 6)
    election.written(taken, 100.0)
    assert election.wanted("t2") == Claim("me", 15, "t1", "t2", 6)


def test_an_absent_lease_is_taken_only_after_its_duration() -> None:
    now = Now()
    election = Election("me", now)
    election.see(None)
    now.seconds += 14.9
    election.see(None)
    assert election.wanted("t1") is None
    now.seconds += 0.2
    assert election.wanted("t1") == Claim("me", 15, "t1", "t1", 0)


def test_only_the_holder_releases() -> None:
    election = Election("me", Now())
    assert election.release("t1") is None
    election.see(OTHERS)
    assert election.release("t1") is None


class Client:
    """A client whose server answers every request with the same object."""

    configuration = SimpleNamespace(host="http://server")

    def __init__(self) -> None:
        self.requests: list[str] = []

    async def update_params_for_auth(self, *_: Any) -> None:
        """Need no token."""

    async def call_api(self, method: str, url: str, *_: Any) -> Any:
        self.requests.append(f"{method} {url.partition('?')[0].removeprefix('http://server')}")
        return SimpleNamespace(status=200, read=self._read)

    async def _read(self) -> bytes:
        return json.dumps({"items": [], "metadata": {"resourceVersion": "1"}}).encode()


async def test_an_operator_that_waits_reads_and_writes_only_its_lease() -> None:
    client: Any = Client()
    api = KubeApi(client, lambda: False)
    body = sensor_body()
    for write in (
        api.create({"kind": "Deployment", "metadata": {"namespace": "plant", "name": "a"}}),
        api.apply_status(body, {}),
        api.apply_data("plant", "feeds", {}),
        api.delete({**body, "kind": "Sensor"}),
        api.post_event({"metadata": {"namespace": "plant"}}),
    ):
        with pytest.raises(ApiError, match="another operator may act") as error:
            await write
        assert not error.value.is_final  # a Sensor is not to be blamed for it
    assert client.requests == []
    await listed(api, Kind.SENSOR, "plant")
    await api.write_lease({"metadata": {"namespace": "release", "name": "operator"}})
    leases = "/apis/coordination.k8s.io/v1/namespaces/release/leases"
    sensors = "/apis/sensorpipe.dev/v1alpha1/namespaces/plant/sensors"
    assert client.requests == [f"GET {sensors}", f"POST {leases}"]


async def test_a_key_is_not_lost_where_its_worker_is_cancelled() -> None:
    queue, key, started = WorkQueue(), ("plant", "boiler"), asyncio.Event()
    seen: list[Key] = []

    async def hang(_: Key) -> bool:
        started.set()
        await asyncio.Event().wait()
        return True

    async def do(given: Key) -> bool:
        seen.append(given)
        return True

    queue.add(key)
    worker = asyncio.create_task(queue.run_worker(hang))
    await started.wait()
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    assert len(queue) == 1
    other = asyncio.create_task(queue.run_worker(do))
    await eventually(lambda: seen == [key])
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)
    assert len(queue) == 0
