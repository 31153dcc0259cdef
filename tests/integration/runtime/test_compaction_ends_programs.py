"""No program goes on with a topic that Kafka compacts."""

import json
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from sensorpipe_cli.runner.child import Child
from sensorpipe_schema.names import COMPACTED
from support import services
from support.compactor_process import Process
from support.server_process import server_child
from support.services import running


async def test_compactor_and_server_end_and_say_what_to_do(
    tmp_path: Path, mosquitto: Child, mongod: Child
):
    async with running(services.kafka(tmp_path)) as kafka:
        admin = AIOKafkaAdminClient(bootstrap_servers=f"127.0.0.1:{kafka.port}")
        await admin.start()
        compacting = {"cleanup.policy": "compact"}
        await admin.create_topics([NewTopic(COMPACTED, 1, 1, topic_configs=compacting)])
        await admin.close()
        compactor = Process(tmp_path, "compacting", mosquitto.port, kafka.port)
        for program in (compactor, server_child(tmp_path, kafka, mongod, "compacting")):
            await program.start()
            assert await program.wait() == 1
            lines = [json.loads(line) for line in program.log.read_text().splitlines()]
            [said] = [line for line in lines if line["level"] == "error"]
            assert said["message"] == "Kafka compacts the topic; ending"
            assert f"the topic {COMPACTED} has cleanup.policy=compact: " in said["error"]
            assert "--add-config cleanup.policy=delete" in said["error"]
            assert "Traceback" not in program.log.read_text()
