"""What the chart's tests ask of a rendering, and values that they share."""

from pathlib import Path

from support import tokens
from support.chart.render import Object, one

OPERATOR, COMPACTOR, SERVER = (
    f"demo-sensorpipe-{component}" for component in ("operator", "compactor", "server")
)
EXTERNAL = (
    "mosquitto.enabled=false",
    "mosquitto.external.compactorSecret=mqtt-in",
    "mosquitto.external.generatorSecret=mqtt-out",
    "mosquitto.external.caKey=ca.crt",
    "kafka.enabled=false",
    "kafka.external.bootstrap=k1.example:9096\\,k2.example:9096",
    "kafka.external.compactorSecret=kafka-in",
    "kafka.external.serverSecret=kafka-out",
    "kafka.external.caSecret=kafka-ca",
    "kafka.external.mechanism=PLAIN",
    "mongodb.enabled=false",
    "mongodb.external.secret=mongo",
)
"""Broker, Kafka and database elsewhere."""


def deployment(objects: list[Object], name: str) -> Object:
    found: Object = one(objects, "Deployment", name)["spec"]
    return found


def container(objects: list[Object], name: str) -> Object:
    (found,) = deployment(objects, name)["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def environ(objects: list[Object], name: str) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container(objects, name)["env"]}


def files(objects: list[Object], name: str) -> dict[str, tuple[str, str]]:
    """Return of each file of the connections which Secret and key it is."""
    volumes = deployment(objects, name)["template"]["spec"]["volumes"]
    (volume,) = (volume for volume in volumes if volume["name"] == "connections")
    return {
        item["path"]: (source["secret"]["name"], item["key"])
        for source in volume["projected"]["sources"]
        for item in source["secret"]["items"]
    }


def write_access(objects: list[Object], folder: Path) -> Path:
    """Write what the server has in its folder for access, with a key that the cluster might have.

    Return the access file.
    """
    volumes = deployment(objects, SERVER)["template"]["spec"]["volumes"]
    (volume,) = (volume for volume in volumes if volume["name"] == "access")
    made, published = (source["configMap"] for source in volume["projected"]["sources"][:2])
    (folder / "cluster").mkdir(parents=True)
    for path, text in one(objects, "ConfigMap", made["name"])["data"].items():
        (folder / path).write_text(text)
    assert published["name"] == "demo-sensorpipe-cluster-issuer"
    given = {"issuer": tokens.ISSUER.encode(), "jwks.json": tokens.jwks(tokens.private_key())}
    for item in published["items"]:
        (folder / item["path"]).write_bytes(given[item["key"]])
    return folder / "access.yaml"


def policy(objects: list[Object], name: str) -> Object:
    found: Object = one(objects, "NetworkPolicy", f"demo-sensorpipe-{name}")["spec"]
    return found
