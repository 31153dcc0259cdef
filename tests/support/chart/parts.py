"""What the chart's tests ask of a rendering, and values that they share."""

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
    (volume,) = (volume for volume in volumes if "projected" in volume)
    return {
        item["path"]: (source["secret"]["name"], item["key"])
        for source in volume["projected"]["sources"]
        for item in source["secret"]["items"]
    }


def policy(objects: list[Object], name: str) -> Object:
    found: Object = one(objects, "NetworkPolicy", f"demo-sensorpipe-{name}")["spec"]
    return found
