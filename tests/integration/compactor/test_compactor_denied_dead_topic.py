"""The topic of dead letters is missing, and the compactor may not create it."""

from pathlib import Path

from sensorpipe_schema.names import COMPACTED, DEAD_READINGS
from support import services
from support.compactor_process import Process, ready, source
from support.secured_parts import COMPACTOR_ACLS, KAFKA_USERS, allow, create
from support.services import running


async def test_readings_are_stored_and_it_is_said_what_dead_letters_hold_up(
    tmp_path: Path, mosquitto
):
    name = "denied"
    async with running(services.secured_kafka(tmp_path / "kafka", KAFKA_USERS)) as kafka:
        await create(kafka, COMPACTED)
        await allow(kafka, "compactor", COMPACTOR_ACLS)
        environ = {
            "SENSORPIPE_KAFKA_SECURITY": "SASL_SSL",
            "SENSORPIPE_KAFKA_MECHANISM": "SCRAM-SHA-512",
            "SENSORPIPE_KAFKA_USERNAME": "compactor",
            "SENSORPIPE_KAFKA_PASSWORD": KAFKA_USERS["compactor"],
            "SENSORPIPE_KAFKA_CA_FILE": str(kafka.log.parent / "ca.crt"),
        }
        process = Process(tmp_path, name, mosquitto.port, kafka.port, environ)
        async with source(mosquitto.port, name) as readings, ready(process):  # once it never was
            assert f"has no topic {DEAD_READINGS} that the user 'compactor' may see" in (
                process.tail(50)
            )
            readings.publish(20)
            await readings.drained()
            readings.publisher.publish(f"sensor_readings/{name}/s", [b"online"])
            await readings.drained()
            readings.publish(20)
            await process.reaches("readings", 40)
            await process.reaches("dead_letters_waiting", 1)
            metrics = await process.metrics()
            assert metrics["acknowledged"] <= 20
            assert (
                "readings are stored until the broker's in-flight limit is reached"
                in process.tail(50)
            )
            await create(kafka, DEAD_READINGS)
            await process.reaches("acknowledged", 41)
            assert (await process.metrics())["dead_letters_waiting"] == 0
