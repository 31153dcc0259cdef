"""Who reaches whom in a release: the table of the chart's README, as the tests know it."""

import re
from typing import Final

from support.chart.render import CHART

REACHED: Final = {
    "Mosquitto, 1883": {"generators", "networkPolicy.brokerFrom", "compactor"},
    "Mosquitto, 8883": {"networkPolicy.devicesFrom"},
    "Kafka, 9093": {"compactor", "server"},
    "MongoDB, 27017": {"server"},
    "server, 8080": {"helm test", "networkPolicy.apiFrom"},
    "metrics, 9090": {"networkPolicy.metricsFrom"},
    "compactor, 9090": {"operator"},
}
"""By what is reached: who may reach it."""

MEASURED: Final = ("operator, 9090", "generators, 9090", "compactor, 9090", "server, 9090")
"""What the table calls the metrics."""

OUTSIDE: Final = ("anybody, 8080", "the API server")
"""What no policy protects."""

NAME_SERVER: Final = "the name server"

SILENT: Final = {"Mosquitto"}
"""Who reaches nothing, and not even asks the name server."""

RESTRICTED: Final = {"generators", "compactor", "server", "MongoDB", "helm test"}
"""Who reaches the name server and what the table says; all others reach any address."""


def may(role: str, target: str) -> bool:
    """Whether one may reach a target, by what the table calls them; other roles are anybody's."""
    if target == NAME_SERVER:
        return role not in SILENT
    if target in OUTSIDE:
        return role not in SILENT | RESTRICTED
    named = REACHED.get(target, set())
    return role in (named | REACHED["metrics, 9090"] if target in MEASURED else named)


def in_readme() -> dict[str, set[str]]:
    """Return the table as it is in the README."""
    text = (CHART / "README.md").read_text().partition("\n## Allowed connections\n")[2]
    rows = re.findall(r"^\| ?(.*?) ?\| (.*?) \|", text.partition("\n## ")[0], re.MULTILINE)
    found: dict[str, set[str]] = {}
    name = ""
    for first, second in rows[1:]:  # the first is the table's head
        name = first or name
        found.setdefault(name, set()).update(re.split(r", and |, ", second.replace("`", "")))
    return found
