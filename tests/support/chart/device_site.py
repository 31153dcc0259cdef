"""The broker as the chart sets it up for devices with users of their own, and such devices."""

import subprocess
from pathlib import Path

from support.chart.prepared_broker import Broker
from support.chart.render import render
from support.device_clients import MqttClient
from support.strimzi import certificates

USERS = {"meter-1": "one", "meter-2": "two", "zigbee": "bridge"}
VALUES = (
    "mosquitto.devices.tls.secretName=tls",
    "mosquitto.devices.users[0].username=meter-1",
    "mosquitto.devices.users[0].secretName=meter-1",
    "mosquitto.devices.users[1].username=meter-2",
    "mosquitto.devices.users[1].secretName=meter-2",
    "mosquitto.devices.users[2].username=zigbee",
    "mosquitto.devices.users[2].secretName=zigbee",
    "mosquitto.devices.users[2].topics[0]=zigbee2mqtt/#",
    "mosquitto.devices.users[2].topics[1]=sensor_readings/+/battery",
    "mosquitto.devices.passwordFile.secretName=more",
    "mosquitto.deviceTopics={application/%u/#,shared/+/state}",
)
FILE = "# sensors of the yard\n\nyard-1:plain\r\nyard-2:$hashed\n"


class Site:
    """The broker, with an authority of its own, and what devices have."""

    def __init__(self, folder: Path) -> None:
        self.broker = Broker(render(*VALUES), folder)
        self.ca = folder / "ca.crt"
        self._authority = certificates.authority("devices")
        self.ca.write_text(self._authority[0])
        self.certify()
        self.broker.mount("users", USERS)
        self.file(FILE.replace("$hashed", hashed("yard-2", "secret", folder)))

    def certify(self) -> str:
        """Give the broker another certificate of the same authority; return it."""
        certificate, key = certificates.signed(*self._authority, ["localhost"])
        self.broker.mount("tls", {"tls.crt": certificate, "tls.key": key})
        return certificate

    def file(self, text: str) -> None:
        """Give the broker another password file."""
        self.broker.mount("password-file", {"passwords": text})

    def device(self, user: str, password: str = "", client_id: str = "") -> MqttClient:
        """Return a device with TLS that trusts the broker's authority."""
        return MqttClient(user, password or USERS[user], client_id, self.ca)

    def compactor(self) -> MqttClient:
        """Return who reads what devices publish."""
        return MqttClient("compactor", self.broker.password("compactor"), "session-id")

    async def publish(self, user: str, topic: str, *options: str, password: str = "") -> str:
        """Publish `1` with QoS 1 and TLS; return what mosquitto_pub reports as an error."""
        login = ("-u", user, "-P", password or USERS[user])
        given = ("-V", "5", *login, "-q", "1", "-t", topic, "-m", "1")
        return (await self.client("mosquitto_pub", *given, *options))[1]

    async def client(self, program: str, *options: str) -> tuple[str, str]:
        """Run one of Mosquitto's clients with TLS; return its two outputs."""
        tls = ("-h", "localhost", "--cafile", str(self.ca))
        return await self.broker.client(program, "-p", str(self.broker.tls_port), *tls, *options)


def hashed(user: str, password: str, folder: Path) -> str:
    """Return a password as mosquitto_passwd hashes it."""
    file = folder / "hashed"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(file), user, password], check=True)
    return file.read_text().strip().partition(":")[2]
