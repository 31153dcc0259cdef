"""The compactor as a process: settings, SIGTERM, kill -9, a rival, probes."""

import asyncio
import json
from pathlib import Path

import pytest
from sensorpipe_cli.runner.child import Child, free_port
from sensorpipe_compactor.settings import Settings
from sensorpipe_runtime.settings import SettingsError
from support import services
from support.compactor_process import Process, counts, eventually_counts, ready, source, started
from support.services import running
from support.waiting import eventually


@pytest.fixture(params=["embedded", "real"])
def brokers(request: pytest.FixtureRequest) -> tuple[Child, Child]:
    """An MQTT broker and a Kafka."""
    names = ("rumqttd", "tansu") if request.param == "embedded" else ("mosquitto", "kafka")
    mqtt, kafka = (request.getfixturevalue(name) for name in names)
    return mqtt, kafka


# Settings.


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("SENSORPIPE_MQTT_URL", "http://x", "must be mqtt://HOST:PORT"),
        ("SENSORPIPE_MQTT_CA_FILE", "/nowhere/ca.pem", "holds no certificates"),
        ("SENSORPIPE_MQTT_CLIENT_ID", "", "must be 1 to 128 printable ASCII characters"),
        ("SENSORPIPE_MQTT_CLIENT_ID", "a\nb", "must be 1 to 128 printable ASCII characters"),
        ("SENSORPIPE_MQTT_CLIENT_ID", "a" * 129, "must be 1 to 128 printable ASCII characters"),
        ("SENSORPIPE_COMPACTOR_NAME", "a\nb", "printable ASCII characters; got 'a\\nb'"),
        ("SENSORPIPE_MQTT_TOPIC", "", "must be an MQTT topic filter"),
        ("SENSORPIPE_MQTT_TOPIC", "a/#/b", "must be an MQTT topic filter"),
        ("SENSORPIPE_MQTT_TOPIC", "a/b+", "must be an MQTT topic filter"),
        ("SENSORPIPE_MQTT_TOPIC", "a\0b", "must be an MQTT topic filter"),
        ("SENSORPIPE_MQTT_TOPIC", "a/b,", "must be an MQTT topic filter such as"),
        ("SENSORPIPE_MQTT_TOPIC", "a/b,+/+,c", "overlap; 'a/b' and '+/+' take the same topics"),
        ("SENSORPIPE_MQTT_TOPIC", "a,$share/us/b", "must not be shared"),
        ("SENSORPIPE_TAKING_OVER", "yes", "must be one of true, false"),
        ("SENSORPIPE_MQTT_TOPIC", "$share/us/sensor_readings/#", "must not be shared"),
        ("SENSORPIPE_KAFKA_SECURITY", "TLS", "must be one of PLAINTEXT"),
        ("SENSORPIPE_KAFKA_MECHANISM", "GSSAPI", "must be one of PLAIN"),
        (
            "SENSORPIPE_KAFKA_COMPRESSION",
            "lzma",
            "none, gzip, snappy, lz4, zstd; got 'lzma'",
        ),
        ("SENSORPIPE_KAFKA_CA_FILE", "/nowhere/ca.pem", "holds no certificates"),
        ("SENSORPIPE_WINDOW", "10", "10"),
        ("SENSORPIPE_LATENESS", "-2s", "-2s"),
        ("SENSORPIPE_SOURCE_BYTES", "1023", "must be a whole number from 1024 to"),
        ("SENSORPIPE_HTTP", "9090", "must be HOST:PORT"),
        ("SENSORPIPE_LOG_LEVEL", "LOUD", "must be one of DEBUG"),
    ],
)
def test_a_wrong_setting_is_named(variable: str, value: str, problem: str):
    with pytest.raises(SettingsError) as refused:
        Settings.read({variable: value})
    (said,) = refused.value.problems
    assert said.startswith(f"{variable}: ")
    assert problem in said


@pytest.mark.parametrize("topic", ["#", "+", "sensor_readings/+/temperature", "a/+/#", "/"])
def test_a_topic_filter_may_have_wildcards(topic: str):
    assert Settings.read({"SENSORPIPE_MQTT_TOPIC": topic}).topic_filters == (topic,)


def test_a_compactor_may_have_several_topic_filters():
    settings = Settings.read({"SENSORPIPE_MQTT_TOPIC": "a/b/#, a/c/+,e"})
    assert settings.topic_filters == ("a/b/#", "a/c/+", "e")


def test_the_defaults_are_those_of_the_contract():
    settings = Settings.read({})
    assert str(settings.mqtt) == "mqtt://127.0.0.1:1883"
    assert settings.client_id == settings.name == "sensorpipe-compactor"
    assert settings.topic_filters == ("sensor_readings/#",)
    assert not settings.taking_over
    assert settings.kafka.bootstrap == "127.0.0.1:9092"
    assert (settings.window_ms, settings.lateness_ms) == (10_000, 2_000)
    assert settings.source_bytes == 288 * 1024**2
    assert settings.http == ("0.0.0.0", 9090)


def test_the_client_id_is_a_secret_apart_from_the_compactors_name(tmp_path: Path):
    file = tmp_path / "client-id"
    file.write_text("s3cret\n")
    settings = Settings.read(
        {"SENSORPIPE_MQTT_CLIENT_ID_FILE": str(file), "SENSORPIPE_COMPACTOR_NAME": "north"}
    )
    assert (settings.client_id, settings.name) == ("s3cret", "north")
    assert "s3cret" not in repr(settings)
    with pytest.raises(SettingsError) as refused:
        Settings.read({"SENSORPIPE_MQTT_CLIENT_ID": "s3cret\t", "SENSORPIPE_COMPACTOR_NAME": "n"})
    assert "s3cret" not in str(refused.value)


def test_without_a_name_a_compactor_is_called_as_its_client_id():
    assert Settings.read({"SENSORPIPE_MQTT_CLIENT_ID": "mine"}).name == "mine"


async def test_all_wrong_settings_are_named_at_the_start(tmp_path: Path):
    process = Process(tmp_path, "wrong", 1, 1)
    wrong = {
        "SENSORPIPE_MQTT_URL": "tcp://x",
        "SENSORPIPE_WINDOW": "soon",
        "SENSORPIPE_KAFKA_SECURITY": "SASL_SSL",
        "SENSORPIPE_HTTP": "x",
    }
    process._environ = wrong
    await process.start()
    assert await process.wait() == 1
    said = process.tail()
    assert all(name in said for name in [*wrong, "SENSORPIPE_KAFKA_USERNAME"] if "SEC" not in name)
    assert "Traceback" not in said


# Running.


async def test_sigterm_makes_everything_durable_and_acknowledges_it(
    tmp_path: Path, brokers: tuple[Child, Child]
):
    mqtt, kafka = brokers
    name = "flushed"
    async with source(mqtt.port, name) as readings:
        async with ready(Process(tmp_path, name, mqtt.port, kafka.port)) as process:
            assert (await process.get("/healthz"))[0] == 200
            assert (await process.get("/nothing"))[0] == 404
            readings.publish(2_000)
            await readings.drained()
            await process.reaches("received", 2_000)
            assert await process.stop(30) == 0
        assert await counts(kafka, name) == readings.expected()
        stopped = json.loads(process.tail(1))
        assert stopped["message"] == "Stopped"
        assert stopped["readings"] == 2_000
        # all was acknowledged: the broker has nothing to send again
        async with ready(Process(tmp_path, name, mqtt.port, kafka.port)) as process:
            readings.publish(1)
            await process.reaches("received", 1)
            assert (await process.metrics())["received"] == 1
            assert (await process.metrics())["sessions_lost"] == 0
            assert await process.stop(30) == 0
        assert await counts(kafka, name) == readings.expected()


async def test_killed_in_the_middle_each_reading_counts_once(
    tmp_path: Path, brokers: tuple[Child, Child]
):
    mqtt, kafka = brokers
    name = "killed"
    async with source(mqtt.port, name) as readings:
        process = Process(tmp_path, name, mqtt.port, kafka.port)
        async with ready(process):  # so that there is a session before the first reading
            await process.kill()
        for _ in range(4):
            process = Process(tmp_path, name, mqtt.port, kafka.port)
            async with started(process):
                readings.publish(700)
                await process.is_ready()
                await process.reaches("received", 300)
                readings.publish(300)
                await process.kill()
        await readings.drained()
        async with ready(Process(tmp_path, name, mqtt.port, kafka.port)) as process:
            readings.publish(1)
            await eventually(lambda: readings.publisher.unacknowledged == 0)
            await process.reaches("readings", 1)
            await eventually_counts(kafka, name, readings.expected())
            assert await process.stop(30) == 0
    assert await counts(kafka, name) == readings.expected()


async def test_a_second_compactor_of_the_name_takes_over(
    tmp_path: Path, brokers: tuple[Child, Child]
):
    mqtt, kafka = brokers
    name = "rivalled"
    async with (
        source(mqtt.port, name) as readings,
        ready(Process(tmp_path, name, mqtt.port, kafka.port)) as first,
    ):
        readings.publish(500)
        await first.reaches("received", 100)
        async with started(Process(tmp_path, name, mqtt.port, kafka.port)) as second:
            async with asyncio.timeout(120):
                while first.returncode is None:
                    readings.publish(1)
                    await asyncio.sleep(0.1)
            assert first.returncode == 1
            assert "Another compactor took over" in first.tail()
            await second.is_ready()
            await readings.drained()
            await eventually_counts(kafka, name, readings.expected())
            assert await second.stop(30) == 0
    assert await counts(kafka, name) == readings.expected()


async def test_sigterm_without_kafka_ends_within_its_bound_and_loses_nothing(tmp_path: Path):
    name = "away"
    persistent = f"{services.MOSQUITTO_TUNED}persistence true\npersistence_location {tmp_path}/\n"
    async with (
        running(services.mosquitto(tmp_path / "mqtt", persistent)) as mqtt,
        running(services.kafka(tmp_path / "kafka")) as kafka,
        source(mqtt.port, name) as readings,
    ):
        async with ready(Process(tmp_path, name, mqtt.port, kafka.port)) as process:
            readings.publish(500)
            await process.reaches("received", 500)
            await kafka.stop()
            readings.publish(500)
            await process.reaches("received", 1_000)
            assert await process.stop(60) == 0
            assert "Kafka is unavailable" in process.tail(500)
        await kafka.start()
        await kafka.listening()
        async with ready(Process(tmp_path, name, mqtt.port, kafka.port)) as process:
            await readings.drained()
            await eventually_counts(kafka, name, readings.expected())
            assert await process.stop(30) == 0
        assert await counts(kafka, name) == readings.expected()


async def test_sigterm_before_kafka_was_ever_there_exits_at_once(tmp_path: Path, rumqttd: Child):
    process = Process(tmp_path, "early", rumqttd.port, free_port())
    async with started(process):
        await eventually(lambda: "Kafka did not take it" in process.tail())
        assert (await process.get("/readyz"))[0] == 503
        assert (await process.get("/healthz"))[0] == 200
        assert await process.stop(15) == 0
    assert "Traceback" not in process.tail(50)


async def test_sigterm_without_an_mqtt_broker_exits_at_once(tmp_path: Path, tansu: Child):
    process = Process(tmp_path, "unanswered", free_port(), tansu.port)
    async with started(process):
        await eventually(lambda: "MQTT connection ended" in process.tail())
        assert (await process.get("/readyz"))[0] == 503
        assert await process.stop(15) == 0
    assert "Kafka is unavailable" not in process.tail(50)


async def test_a_narrowed_filter_leaves_no_subscription_behind(
    tmp_path: Path, mosquitto: Child, kafka: Child
):
    name = "narrowed"

    def reading(topic_filter: str) -> Process:
        process = Process(tmp_path, name, mosquitto.port, kafka.port)
        process._environ = {**(process._environ or {}), "SENSORPIPE_MQTT_TOPIC": topic_filter}
        return process

    async with source(mosquitto.port, name) as readings:
        async with ready(reading(f"sensor_readings/{name}/#")) as process:
            readings.publish(10)
            await process.reaches("received", 10)
            assert await process.stop(30) == 0
        async with ready(reading(f"sensor_readings/{name}/t")) as process:
            readings.publish(10)
            readings.publisher.publish(f"sensor_readings/{name}/t", [b"the one that may come"])
            await process.reaches("received", 1)
            assert (await process.metrics())["received"] == 1
            assert await process.stop(30) == 0
        async with ready(reading(f"sensor_readings/{name}/u")) as process:
            readings.publisher.publish(f"sensor_readings/{name}/t", [b"nor this"])
            readings.publisher.publish(f"sensor_readings/{name}/u", [b"the one that may come"])
            await process.reaches("received", 1)
            assert (await process.metrics())["received"] == 1
            assert await process.stop(30) == 0
