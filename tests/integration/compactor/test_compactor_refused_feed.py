"""A Feed whose topics the broker does not let the compactor read (SUBACK 0x87), and then does."""

import asyncio
import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from sensorpipe_cli.runner.child import Child
from sensorpipe_runtime.mqtt.endpoint import Endpoint
from sensorpipe_runtime.mqtt.publisher import Publisher
from sensorpipe_schema.feed.report import Subscription, decode_report
from support import services
from support.compactor_process import Process, ready
from support.feeds import manifest
from support.services import running
from support.waiting import eventually

RULES = [{"sensor": "t", "at": "/t"}]


def plugin() -> Path:
    """Return Mosquitto's plugin whose rights refuse subscriptions.

    With an ACL file Mosquitto grants every subscription, and delivers nothing that is not allowed.
    """
    found = [*Path("/usr/lib").glob("*/mosquitto_dynamic_security.so")]
    found += Path("/usr/lib").glob("mosquitto_dynamic_security.so")
    if not found:
        pytest.skip("no Mosquitto with its plugin here; `apt-get install mosquitto` brings it")
    return found[0]


def client(name: str, role: str) -> dict[str, Any]:
    salt = b"0123456789ab"
    digest = hashlib.pbkdf2_hmac("sha512", b"secret", salt, 101)
    password, salted = (base64.b64encode(part).decode() for part in (digest, salt))
    roles = [{"rolename": role}]
    hashed = {"password": password, "salt": salted, "iterations": 101}
    return {"username": name, "roles": roles, **hashed}


def rights(*readable: str) -> dict[str, Any]:
    """Return what the plugin is to allow: the compactor may subscribe these, the device all."""
    acls = [
        {"acltype": "subscribePattern", "topic": topic, "priority": 0, "allow": True}
        for topic in readable
    ]
    allowed = {"publishClientSend": True, "publishClientReceive": True, "unsubscribe": True}
    return {
        "defaultACLAccess": {**allowed, "subscribe": False},
        "clients": [client("compactor", "reader"), client("device", "none")],
        "roles": [{"rolename": "reader", "acls": acls}, {"rolename": "none", "acls": []}],
    }


def broker(folder: Path, *readable: str, port: int | None = None) -> Child:
    """Return Mosquitto with these rights of the compactor."""
    config = folder / "rights.json"
    config.write_text(json.dumps(rights(*readable)))
    extra = f"plugin {plugin()}\nplugin_opt_config_file {config}\n{services.MOSQUITTO_TUNED}"
    return services.mosquitto(folder, extra, port, anonymous=False)


def write(folder: Path, name: str, topic: str) -> None:
    made = {**manifest(topic=topic, facility="f", readings=RULES), "metadata": {"name": name}}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(made))


async def test_a_refused_filter_is_told_and_stops_no_other_and_heals(
    tmp_path: Path, tansu: Child
) -> None:
    feeds, home = tmp_path / "feeds", tmp_path / "broker"
    feeds.mkdir()
    home.mkdir()
    write(feeds, "denied", "denied/+")
    write(feeds, "allowed", "allowed/+")
    first = broker(home, "sensor_readings/#", "allowed/+")
    environ = {"SENSORPIPE_FEEDS": str(feeds)}
    async with running(first):
        url = f"mqtt://compactor:secret@127.0.0.1:{first.port}"
        made = Process(
            tmp_path, "refused", first.port, tansu.port, {**environ, "SENSORPIPE_MQTT_URL": url}
        )
        async with ready(made):

            async def told(name: str) -> tuple[Subscription, str]:
                status, text = await made.get("/feeds")
                assert status == 200
                report = decode_report(text.encode())
                feed = next(feed for feed in report.feeds if feed.name == name)
                return feed.subscription, feed.refusal

            async def is_granted(name: str) -> bool:
                return await told(name) == (Subscription.SUBSCRIBED, "")

            assert await told("denied") == (Subscription.REFUSED, "NOT_AUTHORIZED")
            assert await is_granted("allowed")
            await publish(first.port or 0, "allowed/1")
            await made.reaches("readings", 1)

            await first.stop()
            again = broker(home, "sensor_readings/#", "allowed/+", "denied/+", port=first.port)
            async with running(again):
                await eventually(lambda: is_granted("denied"))
                await publish(first.port or 0, "denied/1")
                await made.reaches("readings", 2)
    said = [json.loads(line) for line in made.tail(400).splitlines() if line.startswith("{")]
    (warned,) = [line for line in said if "does not let us subscribe" in line["message"]]
    assert (warned["filter"], warned["error"]) == ("denied/+", "NOT_AUTHORIZED")


async def publish(port: int, topic: str) -> None:
    """Publish one message of a device, and wait until the broker has it."""
    endpoint = Endpoint("127.0.0.1", port, username="device", password="secret")
    publisher = Publisher(endpoint, "device", capacity=10)
    run = asyncio.create_task(publisher.run())
    publisher.publish(topic, [b'{"t": 1}'])
    await asyncio.wait_for(publisher.drained(), 60)
    await publisher.close()
    await run
