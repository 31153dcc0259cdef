"""Wrong values: each is refused by both Helms, with words that name the key and the fault."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_command import attempt
from support.chart import helms as chart_helms
from support.chart.render import CHART

DIGEST = "sha256:" + "a" * 63

WRONG: dict[str, tuple[str, Any, str]] = {
    "a key that is mistyped": ("compactor.windows", "10s", "additional properties 'windows'"),
    "a section that is mistyped": ("mosquito.enabled", True, "additional properties 'mosquito'"),
    "a key in the wrong place": ("replicas", 2, "additional properties 'replicas' not allowed"),
    "a key that is taken away": ("compactor.topic", None, "missing property 'topic'"),
    "a duration in words": ("compactor.window", "10 seconds", "a_duration_such_as_500ms_10s"),
    "a duration without a unit": ("compactor.lateness", 2, "got number, want string"),
    "a duration of nothing": ("compactor.window", "0s", "greater_than_zero"),
    "a duration that is negative": ("operator.resync", "-5m", "a_duration_such_as_500ms_10s"),
    "half a millisecond": ("compactor.window", "0.5ms", "a_duration_such_as_500ms_10s"),
    "a retention in weeks": ("kafka.topics.retention", "2w", "a_duration_such_as_500ms_10s"),
    "a scrape interval in words": ("monitoring.podMonitor.interval", "often", "such_as_15s"),
    "a log level in lower case": ("server.logLevel", "debug", "'DEBUG', 'INFO', 'WARNING'"),
    "a pull policy of docker's": ("image.pullPolicy", "always", "'Always', 'IfNotPresent'"),
    "a registry with a scheme": ("image.registry", "https://r.example", "without_https"),
    "a tag that YAML takes for a number": ("image.tag", 1.1, "got number, want string"),
    "an image with its tag": ("server.image.repository", "srv:1.0", "without_tag_and_digest"),
    "a digest that is too short": ("mongodb.image.digest", DIGEST, "sha256_and_64_hexadecimal"),
    "a digest of another kind": ("mosquitto.image.digest", "md5:0", "sha256_and_64_hexadecimal"),
    "one Secret for a list": ("image.pullSecrets", "mine", "got string, want array"),
    "the same Secret twice": ("image.pullSecrets", ["mine", "mine"], "are equal"),
    "a Secret in capitals": ("mosquitto.existingSecret", "Mine", "a_name_of_lower_case_letters"),
    "a namespace in capitals": ("sensors.namespaces", ["Plant"], "a_namespace_of_at_most_63"),
    "a name that is too long": ("fullnameOverride", "n" * 41, "at_most_40_lower_case_letters"),
    "a name that begins with a digit": ("nameOverride", "3d", "beginning_with_a_letter"),
    "yes for true": ("mosquitto.enabled", "yes", "got string, want boolean"),
    "a number in quotes": ("server.replicas", "2", "got string, want integer"),
    "half a server": ("server.replicas", 1.5, "got number, want integer"),
    "less than no servers": ("server.replicas", -1, "minimum: got -1, want 0"),
    "too large a page": ("server.pageLimit", 20000, "maximum: got 20,000, want 10,000"),
    "an origin with a path": ("server.corsOrigins", ["https://a/b"], "without_a_path"),
    "all origins and one": ("server.corsOrigins", ["*", "https://a"], "maxItems: got 2, want 1"),
    "no sources": ("compactor.sourceBytes", 0, "minimum: got 0, want 1,024"),
    "a retention in minutes": ("server.retention.windows", "90m", "such_as_36h_30d_or_5y"),
    "a level of retention that is none": ("server.retention.2d", "1y", "properties '2d' not all"),
    "no workers": ("operator.workers", 0, "minimum: got 0, want 1"),
    "a port that is none": ("server.service.port", 80808, "maximum: got 80,808, want 65,535"),
    "a service that is none": ("server.service.type", "Ingress", "'ClusterIP', 'NodePort'"),
    "scaling by two things": ("server.autoscaling.by", "cpu,lag", "'none', 'cpu', 'lag'"),
    "no partitions": ("kafka.topics.partitions", 0, "minimum: got 0, want 1"),
    "a version that YAML takes for a number": ("kafka.version", 4.3, "got number, want string"),
    "an address without a port": ("kafka.external.bootstrap", "broker", "HOST_PORT_separated"),
    "an address with a scheme": ("kafka.external.bootstrap", "kafka://b:9092", "HOST_PORT"),
    "a security of its own": ("kafka.external.security", "TLS", "'PLAINTEXT', 'SSL'"),
    "a mechanism of its own": ("kafka.external.mechanism", "GSSAPI", "'SCRAM-SHA-512'"),
    "a shared subscription": ("compactor.topic", "$share/g/sensor_readings/#", "not_shared"),
    "filters in one text": ("compactor.topic", "a/#,b/#", "an_MQTT_topic_filter"),
    "no filters": ("compactor.topic", [], "minItems: got 0, want 1"),
    "a list with what is no filter": ("compactor.topic", ["a", "b/#/c"], "an_MQTT_topic_filter"),
    "a shard without topics": ("compactor.shards", [{"name": "b"}], "missing property 'topic'"),
    "a shard's name in capitals": (
        "compactor.shards",
        [{"name": "B", "topic": "a"}],
        "at_most_20_lower_case_letters",
    ),
    "a shard with Feeds": (
        "compactor.shards",
        [{"name": "b", "topic": "a", "feeds": True}],
        "properties 'feeds' not allowed",
    ),
    "a filter that is none": ("compactor.topic", "sensor_readings/#/x", "an_MQTT_topic_filter"),
    "a client id of more than ASCII": ("compactor.clientId", "größe", "printable_ASCII"),
    "thousandths of a byte": ("server.resources.limits.memory", "500m", "bytes_such_as_256Mi"),
    "a memory as people write it": ("mongodb.resources.limits.memory", "1 GB", "such_as_256Mi"),
    "a CPU in percent": ("server.resources.requests.cpu", "50%", "cores_such_as_2_or_250m"),
    "resources one level too high": ("operator.resources.memory", "1Gi", "properties 'memory'"),
    "a volume without a unit": ("kafka.storage.size", "10", "bytes_such_as_256Mi_or_2Gi"),
    "less cache than MongoDB takes": ("mongodb.cacheGB", 0.1, "minimum: got 0.1, want 0.25"),
    "a database with a dot": ("mongodb.database", "a.b", "letters_digits_underscores"),
    "never saving the queue": ("mosquitto.autosaveSeconds", 0, "minimum: got 0, want 1"),
    "a label that YAML takes for true": ("nodeSelector", {"gpu": True}, "got boolean, want"),
    "an annotation that YAML takes for true": (
        "server.podAnnotations",
        {"scrape": True},
        "got boolean, want string",
    ),
    "a label with a space": ("mosquitto.podLabels", {"team": "a b"}, "at_most_63_letters"),
    "an affinity that is mistyped": (
        "compactor.affinity.nodeAffinity",
        {"requiredDuringScheduling": {}},
        "properties 'requiredDuringScheduling'",
    ),
    "a priority class in capitals": ("kafka.priorityClassName", "High", "a_name_of_lower_case"),
    "a variable that YAML takes for a number": (
        "operator.extraEnv",
        [{"name": "LIMIT", "value": 1}],
        "got number, want string",
    ),
    "a variable without a name": ("mongodb.extraEnv", [{"value": "1"}], "missing property 'name'"),
    "a volume that holds nothing": ("server.extraVolumes", [{"name": "a"}], "minProperties"),
    "a mount without a place": (
        "generator.extraVolumeMounts",
        [{"name": "a"}],
        "missing property 'mountPath'",
    ),
    "an account that is only named": ("server.serviceAccount", "mine", "got string, want object"),
    "objects that are one": ("extraObjects", {"kind": "Pod"}, "got object, want array"),
    "a mirror with a scheme": ("global.imageRegistry", "https://r.example", "without_https"),
    "OpenShift as yes or no": (
        "global.compatibility.openshift.adaptSecurityContext",
        True,
        "'auto', 'force', 'disabled'",
    ),
    "an effect that is none": ("tolerations", [{"effect": "No"}], "'NoSchedule', 'PreferNo"),
    "a peer that is everybody": ("networkPolicy.apiFrom", [{}], "minProperties: got 0, want 1"),
    "a peer by its pods' names": ("networkPolicy.metricsFrom", [{"pod": "a"}], "properties 'pod'"),
    "a device's user in capitals": (
        "mosquitto.devices.users",
        [{"username": "Meter", "secretName": "s"}],
        "a_username_of_at_most_63_lower_case_letters",
    ),
    "a device's user with a wildcard": (
        "mosquitto.devices.users",
        [{"username": "meter+", "secretName": "s"}],
        "a_username_of_at_most_63_lower_case_letters",
    ),
    "a device's user of two levels": (
        "mosquitto.devices.users",
        [{"username": "hall/meter", "secretName": "s"}],
        "a_username_of_at_most_63_lower_case_letters",
    ),
    "a device's user that is a pattern": (
        "mosquitto.devices.users",
        [{"username": "%u", "secretName": "s"}],
        "a_username_of_at_most_63_lower_case_letters",
    ),
    "a device's user without a password": (
        "mosquitto.devices.users",
        [{"username": "meter"}],
        "missing property 'secretName'",
    ),
    "a device that may write nothing": (
        "mosquitto.devices.users",
        [{"username": "meter", "secretName": "s", "topics": []}],
        "minItems: got 0, want 1",
    ),
    "a device that may write everything": (
        "mosquitto.devices.users",
        [{"username": "meter", "secretName": "s", "topics": ["#"]}],
        "a_topic_filter_without_white_space",
    ),
    "a device that may write the broker's own": (
        "mosquitto.devices.users",
        [{"username": "meter", "secretName": "s", "topics": ["$SYS/#"]}],
        "a_topic_filter_without_white_space",
    ),
    "a topic of devices that is empty": ("mosquitto.deviceTopics", [""], "a_topic_filter_without"),
    "a topic of devices with a rule in it": (
        "mosquitto.deviceTopics",
        ["a/b\ntopic write #"],
        "a_topic_filter_without_white_space",
    ),
    "any first level of a topic": ("mosquitto.deviceTopics", ["+/up"], "begins_with_a_name_or"),
    "a user within a level": ("mosquitto.deviceTopics", ["a/b-%u/#"], "begins_with_a_name_or"),
    "a topic after its end": ("mosquitto.deviceTopics", ["a/#/b"], "a_topic_filter_without"),
    "a network without its length": (
        "networkPolicy.apiFrom",
        [{"ipBlock": {"cidr": "10.0.0.1"}}],
        "a_network_such_as_10_0_0_0_slash_8",
    ),
}
"""What is wrong, the key, its value, and words of what Helm says; None takes a key away."""


def nested(key: str, value: Any) -> dict[str, Any]:
    """Return the contents of a values file with one key."""
    for name in reversed(key.split(".")):
        value = {name: value}
    assert isinstance(value, dict)
    return value


def said(major: str, verb: str, file: Path) -> str:
    """Return what Helm says against a values file, which it must refuse."""
    release = ["demo"] if verb == "template" else []
    program = str(chart_helms.helm(major))
    done = attempt(program, verb, *release, str(CHART), "--values", str(file), timeout=60)
    assert done.returncode != 0, "was not refused"
    return done.stdout + done.stderr


def faults(text: str) -> list[tuple[str, str]]:
    """Return the places and faults that Helm tells."""
    return re.findall(r"- at '([^']*)': (.*)", text)


def names(place: str, fault: str, key: str) -> bool:
    """Whether a user is told which key it is: by its place, or by its name in the fault."""
    told, steps = place.split("/")[1:], key.split(".")
    known = min(len(told), len(steps))
    if told[:known] != steps[:known]:
        return False
    return known == len(steps) or f"'{steps[known]}'" in fault


@pytest.mark.parametrize("major", chart_helms.MAJORS)
@pytest.mark.parametrize(("key", "value", "words"), WRONG.values(), ids=list(WRONG))
def test_refused_in_words_that_name_the_key_and_the_fault(
    tmp_path: Path, major: str, key: str, value: Any, words: str
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(yaml.safe_dump(nested(key, value), allow_unicode=True))
    text = said(major, "template", file)
    assert any(words in fault and names(place, fault, key) for place, fault in faults(text)), text


@pytest.mark.parametrize("major", chart_helms.MAJORS)
def test_what_does_not_go_together_is_refused(tmp_path: Path, major: str) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("kafka: {replicationFactor: 3}\nmongodb: {enabled: false}\n")
    text = said(major, "template", file)
    assert "- kafka.replicationFactor: 3 replicas need as many brokers" in text
    assert "- mongodb.external.secret: is required with mongodb.enabled=false" in text


@pytest.mark.parametrize("verb", ["template", "lint"])
def test_all_faults_of_a_file_are_reported_at_once(tmp_path: Path, verb: str) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("compactor: {window: 1 h, clientId: ''}\nserver: {replicas: many}\n")
    text = said("4", verb, file)
    assert all(f"at '/{key}'" in text for key in ("compactor/window", "compactor/clientId"))
    assert "at '/server/replicas'" in text
