import gc
import os
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import cluster_choice
import pytest
import pytest_asyncio
from cluster_client import Cluster
from cluster_home import UnavailableError
from hypothesis import HealthCheck, settings
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import Child, free_port
from support import isolation, services
from support.services import running

settings.register_profile(
    "a busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("quick", settings.get_profile("a busy machine"), max_examples=10)
settings.load_profile("a busy machine")

_TESTS: Final = Path(__file__).parent

os.environ.setdefault("SENSORPIPE_MONITORING", "127.0.0.1:0")
"""For all servers that a test does not give a port for metrics: they run side by side."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test the marker that its folder is named after."""
    for item in items:
        item.add_marker(item.path.relative_to(_TESTS).parts[0])


def pytest_collection_finish() -> None:
    """Leave out of later collections what was imported and collected: it stays."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Have what a test left unclosed fail this test, not the one in which it is collected."""
    try:
        return (yield)
    finally:
        if item.get_closest_marker("unit") is None:
            _collect()


def _collect() -> None:
    left: list[str] = []
    hook, sys.unraisablehook = sys.unraisablehook, lambda one: left.append(repr(one.exc_value))
    try:
        gc.collect()
    finally:
        sys.unraisablehook = hook
    if left:
        pytest.fail("\n".join(["left behind:", *left]), pytrace=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Child]:
    """Mosquitto set for this work, one for the whole session."""
    async with running(services.mosquitto(tmp_path_factory.mktemp("mosquitto"))) as child:
        yield child


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Child]:
    """Apache Kafka 4.3.1, one for the whole session: use topics or facilities of your own."""
    async with running(services.kafka(tmp_path_factory.mktemp("kafka"))) as child:
        yield child


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def tansu(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Child]:
    """The embedded Kafka, which every test can have."""
    folder = tmp_path_factory.mktemp("tansu")
    async with running(embedded.kafka_broker(free_port(), folder)) as child:
        yield child


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def rumqttd(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Child]:
    """The embedded MQTT broker, which every test can have."""
    folder = tmp_path_factory.mktemp("rumqttd")
    async with running(embedded.mqtt_broker(free_port(), folder)) as child:
        yield child


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def mongod(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Child]:
    """A real mongod, one for the whole session: use a database of your own."""
    folder = tmp_path_factory.mktemp("mongod")
    async with running(embedded.mongod(free_port(), folder)) as child:
        yield child


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def mongod_set(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Child]:
    """A replica set of one mongod, for change streams: use a database of your own."""
    folder = tmp_path_factory.mktemp("mongod_set")
    async with running(embedded.mongod_replica_set(free_port(), folder)) as child:
        yield child


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A real Kubernetes, one for the whole session: use namespaces of your own."""
    made = cluster_choice.cluster()
    yield made
    made.maker.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    """Skip what this machine has no cluster or no images for."""
    with skipping():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Skip what turns out while a test runs to be impossible on this machine or cluster."""
    with skipping(), isolation.enforced(on=item.get_closest_marker("unit") is not None):
        return (yield)


@contextmanager
def skipping() -> Iterator[None]:
    """Say of a test that it could not be run here, and why."""
    try:
        yield
    except UnavailableError as error:
        pytest.skip(str(error))
