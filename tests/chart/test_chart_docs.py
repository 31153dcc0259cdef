"""The chart's README is what `make chart-docs` would make of it now; to know that needs no Go."""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml
from support.chart.go import KUBERNETES
from support.chart.render import CHART
from support.chart.values import VALUES, explanations

README = (CHART / "README.md").read_text()
SOURCE = (CHART / "README.md.gotmpl").read_text()
SAID = explanations()
TABLE = '{{ template "chart.valuesTable" . }}'
STALE = "`make chart-docs` brings it up to date"


def documented(values: dict[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what helm-docs gives a row: what is explained, and leaves that nothing explains."""
    for name, value in values.items():
        key = f"{at}{name}"
        if key in SAID or not isinstance(value, dict) or not value:
            yield key, value
        else:
            yield from documented(value, f"{key}.")


def kind(value: Any) -> str:
    names = {bool: "bool", int: "int", float: "float", str: "string", list: "list"}
    return names.get(type(value), "object")


def test_the_table_has_every_value_its_default_and_its_explanation() -> None:
    rows = dict(re.findall(r"\n\| ([A-Za-z0-9.]+) (\| .*)", README.partition("## Values")[2]))
    for key, value in documented(VALUES):
        default = json.dumps(value, sort_keys=True, separators=(",", ":"))
        assert rows[key] == f"| {kind(value)} | `{default}` | {SAID[key]} |", STALE
    assert set(rows) - {"Key"} == {key for key, _ in documented(VALUES)}, STALE


def test_the_rest_is_the_template() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    filled = re.sub(
        r'\{\{ template "chart\.(\w+)" \. \}\}', lambda m: str(chart.get(m[1], m[0])), SOURCE
    )
    before, _, after = filled.partition(TABLE)
    assert README.startswith(before), STALE
    assert README.endswith(after), STALE


def test_it_says_what_the_chart_is_checked_against() -> None:
    versions = README.partition("The chart is checked against ")[2].partition(".\n")[0]
    assert re.findall(r"1\.\d+", versions) == list(KUBERNETES)


def test_it_lists_the_alerts() -> None:
    groups = yaml.safe_load((CHART / "files/alerts.yaml").read_text())["groups"]
    alerts = {rule["alert"]: None for group in groups for rule in group["rules"]}
    assert re.findall(r"\n\| `(Sensorpipe\w+)` \|", README) == list(alerts)
