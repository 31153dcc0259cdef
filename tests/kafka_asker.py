"""Runs inside a pod of the tests, which gives it to `python -`: what may this user do with Kafka?

Each argument is ATTEMPT:USER:TOPIC, the attempt one of write, read, group, none (no password) and
wrong (a wrong password); printed is what became of each, as JSON.
"""

import asyncio
import json
import ssl
import sys
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

SECRETS = Path("/secrets")


async def write(settings, topic):
    async with AIOKafkaProducer(**settings) as producer:
        await producer.send_and_wait(topic, b"reading")
    return "ok"


async def read(settings, topic):
    async with AIOKafkaConsumer(**settings) as consumer:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        count = (await consumer.end_offsets([partition]))[partition]
        for _ in range(count):
            await consumer.getone()
    return f"{count} read"


async def group(settings, topic):
    group_id = f"{topic}_group"
    options = {"group_id": group_id, "auto_offset_reset": "earliest"}
    async with AIOKafkaConsumer(topic, **settings, **options) as consumer:
        await consumer.getone()
        await consumer.commit()
    return "ok"


async def attempt(bootstrap, words):
    kind, user, topic = words.split(":")
    settings = {"bootstrap_servers": bootstrap, "request_timeout_ms": 10_000}
    context = ssl.create_default_context(cafile=str(SECRETS / "ca/ca.crt"))
    settings |= {"security_protocol": "SSL", "ssl_context": context}
    if kind != "none":
        password = "wrong" if kind == "wrong" else (SECRETS / user / "password").read_text()
        settings |= {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512"}
        settings |= {"sasl_plain_username": user, "sasl_plain_password": password}
    do = {"write": write, "group": group}.get(kind, read)
    try:
        async with asyncio.timeout(20):
            return await do(settings, topic)
    except (KafkaError, TimeoutError) as error:
        return type(error).__name__


async def main(bootstrap, attempts):
    outcomes = await asyncio.gather(*(attempt(bootstrap, words) for words in attempts))
    print(json.dumps(dict(zip(attempts, outcomes, strict=True))))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
