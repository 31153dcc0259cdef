"""The chart's values file, and what it says of each value."""

import re
from typing import Any

import yaml
from support.chart.render import CHART

TEXT = (CHART / "values.yaml").read_text()


VALUES: dict[str, Any] = yaml.safe_load(TEXT)


def explanations() -> dict[str, str]:
    """Return what values.yaml says of its keys."""
    found: dict[str, str] = {}
    path: list[str] = []
    comment = ""
    for line in TEXT.splitlines():
        if match := re.fullmatch(r" *# (?:-- )?(.*)", line):
            comment = f"{comment} {match[1]}".strip() if comment and "-- " not in line else match[1]
        elif match := re.match(r"( *)([A-Za-z0-9]+):", line):
            path = [*path[: len(match[1]) // 2], match[2]]
            if comment:
                found[".".join(path)] = comment
            comment = ""
        else:
            comment = ""
    return found
