"""The authority of Kafka's certificates is replaced under a running server."""

import pytest
from sensorpipe_runtime.kafka.client import KafkaSettings
from sensorpipe_runtime.settings import Environment
from sensorpipe_server.ingest import fetch_watch
from support import services
from support.server_parts import one
from support.server_pipe import Pipe, expect

pytest_plugins = ["support.server_fixtures"]

PASSWORD = "a password of the administrator"
SECONDS = 240
"""For a Kafka with TLS to start on a busy machine."""


class Secured(Pipe):
    """A pipe to a Kafka with TLS, whose authority's file is read at each connection's start."""

    def __init__(self, kafka, folder):
        super().__init__(kafka.port)
        self.settings = KafkaSettings.read(
            Environment(
                {
                    "SENSORPIPE_KAFKA_BOOTSTRAP": self.bootstrap,
                    "SENSORPIPE_KAFKA_SECURITY": "SASL_SSL",
                    "SENSORPIPE_KAFKA_MECHANISM": "SCRAM-SHA-512",
                    "SENSORPIPE_KAFKA_USERNAME": "admin",
                    "SENSORPIPE_KAFKA_PASSWORD": PASSWORD,
                    "SENSORPIPE_KAFKA_CA_FILE": str(folder / "ca.crt"),
                }
            )
        )

    def options(self):
        """Connect as the pipeline does."""
        return self.settings.client_options()


@pytest.mark.promise
async def test_a_new_authority_of_kafka_is_taken_without_a_restart(db, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch_watch, "FAILED_AFTER", 5.0)
    kafka = services.secured_kafka(tmp_path, {"admin": PASSWORD})
    try:
        await kafka.start()
        await kafka.listening(SECONDS)
        pipe = Secured(kafka, tmp_path)
        async with pipe.ingesting(db):
            await pipe.send(one([(1, 1.0)], number=1))
            await expect(db, [1])
            await kafka.stop()
            services._certify(tmp_path)  # another key, and the file names its authority at once
            await kafka.start()
            await kafka.listening(SECONDS)
            await pipe.send(one([(2, 1.0)], number=2))
            await expect(db, [2])
    finally:
        await kafka.stop()
