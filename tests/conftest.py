from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager

import cluster_choice
import pytest
import pytest_asyncio
import services
from cluster_client import Cluster
from cluster_home import UnavailableError
from sensorpipe_cli import embedded
from sensorpipe_cli.child import Child, free_port


@asynccontextmanager
async def running(child: Child) -> AsyncIterator[Child]:
    """Start a service, wait until it listens, and stop it afterwards."""
    await child.start()
    try:
        await child.listening()
        yield child
    finally:
        await child.stop()


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
def pytest_runtest_call() -> Generator[None, object, object]:
    """Skip what turns out while a test runs to be impossible on this machine or cluster."""
    with skipping():
        return (yield)


@contextmanager
def skipping() -> Iterator[None]:
    """Say of a test that it could not be run here, and why."""
    try:
        yield
    except UnavailableError as error:
        pytest.skip(str(error))
