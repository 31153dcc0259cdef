"""The services that compactor and server need, for parts that run all of the pipeline."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import Child, free_port
from support import services
from support.services import running


class Backing(NamedTuple):
    """Broker, Kafka and MongoDB, which run until their stack ends."""

    broker: Child
    kafka: Child
    mongod: Child

    @property
    def environ(self) -> dict[str, str]:
        """Settings of a program."""
        return {
            "SENSORPIPE_MQTT_URL": f"mqtt://127.0.0.1:{self.broker.port}",
            "SENSORPIPE_KAFKA_BOOTSTRAP": f"127.0.0.1:{self.kafka.port}",
            "SENSORPIPE_MONGODB_URI": f"mongodb://127.0.0.1:{self.mongod.port}/sensorpipe",
        }


async def backing(stack: AsyncExitStack, folder: Path) -> Backing:
    """Start the services."""
    broker = await stack.enter_async_context(running(services.mosquitto(folder / "mqtt")))
    kafka = await stack.enter_async_context(running(services.kafka(folder / "kafka")))
    mongod = embedded.mongod(free_port(), folder / "mongodb")
    await stack.enter_async_context(running(mongod))
    return Backing(broker, kafka, mongod)
