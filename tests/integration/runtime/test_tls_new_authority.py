"""A new authority, in the file that names the old one, is trusted without a restart."""

import logging
import ssl
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import free_port
from sensorpipe_runtime.kafka.client import tls_context
from sensorpipe_runtime.mqtt.connection import Connection
from sensorpipe_runtime.mqtt.endpoint import Endpoint
from sensorpipe_schema.names import COMPACTED
from sensorpipe_server.storage.mongodb import database
from support import services
from support.secured_parts import KAFKA_USERS, create, kafka_settings
from support.services import running


class Mounted:
    """A Secret as the kubelet mounts it: files behind a symbolic link, which it replaces."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ca_file = str(folder / "ca.crt")
        (folder / "ca.crt").symlink_to("..data/ca.crt")

    def show(self, authority: Path) -> None:
        link = self._folder / "..new"
        link.symlink_to(authority)
        link.replace(self._folder / "..data")


@pytest.fixture
def mounted(tmp_path: Path) -> Mounted:
    return Mounted(tmp_path)


def authority(folder: Path) -> Path:
    """Make a certificate that is its own authority; all of them have the same name."""
    folder.mkdir()
    services._certify(folder)
    return folder


def handshake(context: ssl.SSLContext, authority: Path) -> str | None:
    """Connect to a server with this certificate; return what is wrong with it, if anything."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(authority / "broker.pem")
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(back, there, server_hostname="127.0.0.1")
    server = serving.wrap_bio(there, back, server_side=True)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
    assert client.version() == "TLSv1.3"
    return None


def test_the_same_context_trusts_the_new_authority_and_no_longer_the_old(
    tmp_path: Path, mounted: Mounted, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    old, new = authority(tmp_path / "old"), authority(tmp_path / "new")
    mounted.show(old)
    context = tls_context(mounted.ca_file)
    assert handshake(context, old) is None
    assert handshake(context, new) == "self-signed certificate"

    mounted.show(new)
    assert handshake(context, new) is None
    assert handshake(context, old) == "self-signed certificate"
    [record] = caplog.records
    assert record.message == "New CA certificates are trusted"
    assert record.__dict__["file"] == mounted.ca_file


def test_a_file_without_certificates_changes_nothing(
    tmp_path: Path, mounted: Mounted, caplog: pytest.LogCaptureFixture
):
    old, empty = authority(tmp_path / "old"), tmp_path / "empty"
    mounted.show(old)
    context = tls_context(mounted.ca_file)
    mounted.show(tmp_path / "gone")
    assert handshake(context, old) is None
    assert not caplog.records

    empty.mkdir()
    (empty / "ca.crt").touch()
    mounted.show(empty)
    assert handshake(context, old) is None
    assert handshake(context, old) is None
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert record.message.endswith("is not usable; the old ones stay trusted")


@pytest.mark.promise
async def test_a_kafka_client_goes_on_with_a_broker_of_a_new_authority(tmp_path: Path):
    kafka = services.secured_kafka(tmp_path, KAFKA_USERS)
    producer = AIOKafkaProducer(
        acks="all",
        request_timeout_ms=120_000,
        **kafka_settings(kafka, "admin").client_options(),
    )
    try:
        await kafka.start()
        await kafka.listening(180)
        await create(kafka, COMPACTED)
        await producer.start()
        await producer.send_and_wait(COMPACTED, b"before")
        await kafka.stop()
        services._certify(tmp_path)
        await kafka.start()
        await kafka.listening(180)
        await producer.send_and_wait(COMPACTED, b"after")
    finally:
        await producer.stop()
        await kafka.stop()


async def test_mongodb_is_reached_again_under_a_new_authority(tmp_path: Path):
    mongod = embedded.mongod(free_port(), tmp_path)
    services._certify(tmp_path)
    mongod._argv += ["--tlsMode", "requireTLS"]
    mongod._argv += ["--tlsCertificateKeyFile", str(tmp_path / "broker.pem")]
    where = f"127.0.0.1:{mongod.port}/sensorpipe?directConnection=true"
    async with (
        running(mongod),
        database.connect(f"mongodb://{where}&tlsCAFile={tmp_path / 'ca.crt'}") as client,
    ):
        assert await client.admin.command("ping")
        await mongod.stop()
        services._certify(tmp_path)
        await mongod.start()
        await mongod.listening()
        assert await client.admin.command("ping")


async def test_an_mqtt_broker_is_reached_under_a_new_authority(tmp_path: Path):
    services._certify(tmp_path)
    files = f"certfile {tmp_path}/ca.crt\nkeyfile {tmp_path}/broker.key\n"
    broker = services.mosquitto(tmp_path, files)
    endpoint = Endpoint.parse(f"mqtts://127.0.0.1:{broker.port}", str(tmp_path / "ca.crt"))
    for _ in range(2):
        async with running(broker):
            connection = await Connection.open(endpoint, lambda _: None, lambda _: None)
            connection.abort()
        services._certify(tmp_path)
