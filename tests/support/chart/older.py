"""A chart like those from before the Job: Secrets with passwords in the release's manifest."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from support.chart.render import CHART

_MADE = ("job.yaml", "rbac.yaml", "networkpolicy.yaml")
_SECRET = """\
apiVersion: v1
kind: Secret
metadata:
  name: {{{{ include "sensorpipe.name" (list . "{name}") }}}}
  namespace: {{{{ .Release.Namespace }}}}
  labels: {{{{- include "sensorpipe.labels" (list . "{name}") | nindent 4 }}}}
  annotations: {{helm.sh/resource-policy: keep}}
type: Opaque
stringData:
"""


def older(folder: Path, values: Mapping[str, Mapping[str, str]]) -> Path:
    """Copy the chart; instead of the Job it has Secrets with these values, by name and key."""
    chart = folder / "sensorpipe"
    shutil.copytree(CHART, chart)
    for name in _MADE:
        (chart / "templates/passwords" / name).unlink()
    texts = [
        _SECRET.format(name=name) + "".join(f'  {key}: "{text}"\n' for key, text in keys.items())
        for name, keys in values.items()
    ]
    (chart / "templates/passwords/secrets.yaml").write_text("---\n".join(texts))
    return chart
