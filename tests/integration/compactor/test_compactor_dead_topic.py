"""The topic of dead letters is deleted under a running compactor."""

from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from sensorpipe_schema.names import DEAD_READINGS
from support import services
from support.compactor_parts import kafka_settings
from support.compactor_process import Process, eventually_counts, ready, source
from support.services import running
from support.waiting import eventually


async def test_readings_go_on_without_the_topic_and_it_is_created_again(tmp_path: Path, mosquitto):
    name = "deadless"
    async with (
        running(services.kafka(tmp_path / "kafka")) as kafka,
        source(mosquitto.port, name) as readings,
        ready(Process(tmp_path, name, mosquitto.port, kafka.port)) as process,
    ):
        admin = AIOKafkaAdminClient(**kafka_settings(kafka).client_options())
        await admin.start()
        try:
            await admin.delete_topics([DEAD_READINGS])
            readings.publisher.publish(f"sensor_readings/{name}/s", [b"online"])
            readings.publish(40)
            await process.reaches("readings", 40)
            await eventually(lambda: readings.publisher.unacknowledged == 0)
            await process.reaches("acknowledged", 41)
            assert "Dead letters cannot be written" in process.tail(50)
            assert DEAD_READINGS in await admin.list_topics()
        finally:
            await admin.close()
        await eventually_counts(kafka, name, readings.expected())
