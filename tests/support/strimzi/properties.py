"""What a Kafka resource says, as the configuration of its one broker."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CONTROLLER_PORT = 9090
ADMIN_PORT = 9091
"""Of replication. Here both answer only inside the pod, this one also to `kubectl port-forward`,
and let it do everything."""
AGENT_PORT = 8443
"""Of Strimzi's agent beside the broker, which the stand-in has not: nobody answers."""

LOG_DIR = "/var/lib/kafka/data-0/kafka-log0"
KEYSTORE = "/tmp/broker.pem"
VERSIONS = ("4.2.", "4.3.")
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
_FORBIDDEN = (
    *("listeners", "advertised.", "broker.", "listener.", "host.name", "port", "sasl.", "ssl."),
    *("inter.broker.listener.name", "security.", "password.", "log.dir", "zookeeper."),
    *("authorizer.", "super.user", "node.id", "process.roles", "controller.", "metadata.log.dir"),
)
"""Settings that are Strimzi's own: it would ignore them, which nobody wants who writes them."""


class UnknownError(ValueError):
    """A resource asks for what Strimzi refuses, or the stand-in cannot do; the text says which."""

    reason = "InvalidResourceException"
    """As the resource's status names it."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A port for clients, with TLS and SCRAM: the stand-in knows no other."""

    name: str
    port: int

    @property
    def label(self) -> str:
        """Its name in Kafka's configuration."""
        return f"{self.name.upper()}-{self.port}"

    @property
    def port_name(self) -> str:
        """Its name in pods and Services: that of the port 9093 is older than the others."""
        old = (self.name, self.port) == ("tls", 9093)
        return "tcp-clientstls" if old else f"tcp-{self.name}"


def listeners(kafka: Mapping[str, Any]) -> list[Listener]:
    """Return the listeners of a Kafka resource, or raise UnknownError."""
    found = []
    for one in kafka["spec"]["kafka"]["listeners"]:
        scram = one.get("authentication", {}).get("type") == "scram-sha-512"
        if one["type"] != "internal" or not one["tls"] or not scram:
            # anybody without a password would be to Kafka who the stand-in is
            raise UnknownError(
                f"listener {one['name']}: the stand-in for Strimzi knows only type internal "
                "with tls and authentication scram-sha-512"
            )
        found.append(Listener(one["name"], one["port"]))
    return found


def broker_ports(kafka: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return the names and numbers of a broker's ports."""
    inner = [
        ("tcp-ctrlplane", CONTROLLER_PORT),
        ("tcp-replication", ADMIN_PORT),
        ("tcp-kafkaagent", AGENT_PORT),
    ]
    return [*inner, *((one.port_name, one.port) for one in listeners(kafka))]


def check(kafka: Mapping[str, Any]) -> None:
    """Raise UnknownError for what the stand-in would otherwise pass over in silence."""
    spec = kafka["spec"]["kafka"]
    version = spec.get("version", "4.3.1")
    if not version.startswith(VERSIONS):
        raise UnknownError(
            f"Unsupported Kafka.spec.kafka.version: {version}; Strimzi 1.2 runs 4.3.1"
        )
    for name in spec.get("config", {}):
        if name.startswith(_FORBIDDEN):
            raise UnknownError(f"spec.kafka.config: Strimzi ignores {name}, which it sets itself")
    if spec.get("authorization", {}).get("type") != "simple":
        raise UnknownError("spec.kafka.authorization: the stand-in knows only type simple")
    operators = kafka["spec"].get("entityOperator", {})
    if not {"topicOperator", "userOperator"} <= set(operators):
        raise UnknownError("spec.entityOperator: without both operators no topics and no users")


def server_properties(kafka: Mapping[str, Any], host: str) -> str:
    """Return the broker's configuration, with all that the resource's `config` says."""
    ports = listeners(kafka)
    inside = [("CONTROLLER", CONTROLLER_PORT), ("ADMIN", ADMIN_PORT)]
    bound = [f"{name}://127.0.0.1:{port}" for name, port in inside]
    named = [*bound, *(f"{one.label}://{host}:{one.port}" for one in ports)]
    bound += [f"{one.label}://0.0.0.0:{one.port}" for one in ports]
    protocols = [f"{name}:PLAINTEXT" for name, _ in inside]
    protocols += [f"{one.label}:SASL_SSL" for one in ports]
    settings = {
        "process.roles": "broker,controller",
        "node.id": "0",
        "controller.quorum.voters": f"0@127.0.0.1:{CONTROLLER_PORT}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "ADMIN",
        "listeners": ",".join(bound),
        "advertised.listeners": ",".join(named[1:]),
        "listener.security.protocol.map": ",".join(protocols),
        "log.dirs": LOG_DIR,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        # who comes without a name came through a port that only answers inside the pod
        "super.users": "User:ANONYMOUS",
    }
    for one in ports:
        prefix = f"listener.name.{one.label.lower()}"
        settings |= {
            f"{prefix}.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            f"{prefix}.scram-sha-512.sasl.jaas.config": _SCRAM,
            f"{prefix}.ssl.keystore.type": "PEM",
            f"{prefix}.ssl.keystore.location": KEYSTORE,
        }
    for name, value in kafka["spec"]["kafka"].get("config", {}).items():
        settings[name] = as_setting(value)
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def as_setting(value: object) -> str:
    """Return a YAML value as Kafka's configuration has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
