"""Runs inside a pod of the tests, which gives it to `python -`: what may this user do with Kafka?

Each argument is ATTEMPT:USER:TOPIC, the attempt one of write, read, group (or group=NAME), create,
policy, none (no password) and wrong (a wrong password); printed is what became of each, as JSON.
"""

import asyncio
import contextlib
import functools
import json
import ssl
import sys
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code

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
        if count == 0:  # only a fetch tells whether there may be one
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(consumer.getone(), 3)
    return f"{count} read"


async def create(settings, topic):
    admin = AIOKafkaAdminClient(**settings)
    await admin.start()
    try:
        answer = await admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        await admin.close()
    return ", ".join(for_code(code).__name__ for _, code, *_ in answer.topic_errors)


async def policy(settings, topic):
    admin = AIOKafkaAdminClient(**settings)
    await admin.start()
    try:
        [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    finally:
        await admin.close()
    [(code, _, _, _, entries)] = answer.resources
    if code:
        raise for_code(code)
    return next(value for name, value, *_ in entries if name == "cleanup.policy")


async def group(settings, topic, name=""):
    options = {"group_id": name or f"{topic}_group", "auto_offset_reset": "earliest"}
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
    kind, _, name = kind.partition("=")
    do = {"write": write, "create": create, "policy": policy}.get(kind, read)
    if kind == "group":
        do = functools.partial(group, name=name)
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
