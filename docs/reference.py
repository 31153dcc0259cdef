"""Write the generated parts of docs/: settings, command line, HTTP API, metrics, Sensor fields.

`make reference` writes them; `python docs/reference.py --check` exits with 1 where they are stale.
"""

import ast
import functools
import importlib
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final
from unittest.mock import MagicMock

import api_tables
import yaml
from prometheus_client import REGISTRY, CollectorRegistry

DOCS: Final = Path(__file__).parent
ROOT: Final = DOCS.parent
PROGRAMS: Final = ("generator", "compactor", "server", "operator")
COMMANDS: Final = (
    "",
    "up",
    "verify",
    "check",
    "facilities",
    "get",
    "stats",
    "series",
    "tail",
    "dead",
    "token",
)

Row = tuple[str, ...]


def main() -> None:
    """Write or check every generated part."""
    stale = [page for page, text in pages() if page.read_text(encoding="utf-8") != text]
    for page, text in pages():
        if page in stale and "--check" not in sys.argv:
            page.write_text(text, encoding="utf-8")
    if stale and "--check" in sys.argv:
        names = ", ".join(str(page.relative_to(ROOT)) for page in stale)
        sys.exit(f"stale: {names}; `make reference` brings them up to date")


@functools.cache
def pages() -> tuple[tuple[Path, str], ...]:
    """Return each page with a generated part, and what it should contain."""
    parts: dict[str, Callable[[], str]] = {
        "settings": settings,
        "cli": command_line,
        "api": http_api,
        "integrity": integrity_fields,
        "metrics": metrics,
        "sensor": lambda: resource_fields("sensors"),
        "feed": lambda: resource_fields("feeds"),
    }
    found = []
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for name in re.findall(r"<!-- reference: (\w+) -->", text):
            begin, end = f"<!-- reference: {name} -->\n", "<!-- end of reference -->"
            before, _, rest = text.partition(begin)
            _, _, after = rest.partition(end)
            text = f"{before}{begin}\n{parts[name]()}\n{end}{after}"
        found.append((page, text))
    return tuple(found)


def table(head: Row, rows: Sequence[Row]) -> str:
    """Return a Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines
    )


# --- settings ---


def settings() -> str:
    """Return a table of environment variables for each program."""
    sections = []
    for program in PROGRAMS:
        rows = [(f"`{name}`", default, text) for name, default, text in variables(program)]
        sections.append(
            f"## sensorpipe-{program}\n\n{table(('variable', 'default', 'meaning'), rows)}"
        )
    return "\n".join(sections)


def variables(program: str) -> list[Row]:
    """Return name, default and meaning of each variable that a program reads."""
    module: Any = importlib.import_module(f"sensorpipe_{program}.settings")
    environment = module.Environment
    rows: list[Row] = []

    class Recording(environment):  # type: ignore[misc, valid-type]  # whichever module it is in
        """An empty environment that notes what is asked of it."""

        _allowed = ""

        def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
            self._allowed = f" One of {', '.join(f'`{word}`' for word in allowed)}."
            chosen: str = super().choice(name, default, allowed)
            return chosen

        def whole(self, name: str, default: int, low: int, high: int) -> int:
            self._allowed = f" From {low:,} to {high:,}."
            number: int = super().whole(name, default, low, high)
            return number

        def parse(self, name: str, parser: Callable[[str], Any], default: str | None = None) -> Any:
            frame = inspect.currentframe()
            meaning = explained(frame, inspect.getfile(environment))
            shown = "required" if default is None else f"`{default}`" if default else "none"
            # a variable is a duration with its unit; its field is a number of milliseconds
            meaning = meaning.replace(", in milliseconds", "")
            rows.append((name, shown, meaning + self._allowed))
            self._allowed = ""
            return super().parse(name, parser, default)

        def check(self) -> None:
            """Let pass that required variables are missing."""

    module.Environment = Recording
    module.Settings.read({})
    module.Environment = environment
    return rows


def explained(frame: FrameType | None, without: str) -> str:
    """Return the docstring of the dataclass field that a caller fills, or fail."""
    while frame is not None:
        path = frame.f_code.co_filename
        if path not in (without, __file__):
            text = field_docs(path).get(target(path, frame.f_lineno) or "")
            if text:
                return text
        frame = frame.f_back
    raise LookupError("a setting without a docstring at its field")


@functools.cache
def tree(path: str) -> ast.Module:
    """Return the syntax of a file."""
    return ast.parse(Path(path).read_text(encoding="utf-8"))


@functools.cache
def field_docs(path: str) -> Mapping[str, str]:
    """Return the docstrings of all fields of a file's classes, in one line each."""
    found = {}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ClassDef):
            for field, text in zip(node.body, node.body[1:], strict=False):
                if (
                    isinstance(field, ast.AnnAssign)
                    and isinstance(field.target, ast.Name)
                    and isinstance(text, ast.Expr)
                    and isinstance(text.value, ast.Constant)
                ):
                    found[field.target.id] = " ".join(str(text.value.value).split())
    return found


def target(path: str, line: int) -> str | None:
    """Return the name of the keyword or variable whose value is computed in a line."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.keyword) and node.arg:
            name = node.arg
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
        else:
            continue
        end = node.value.end_lineno or 0
        if node.value.lineno <= line <= end:
            found.append((end - node.value.lineno, name))
    return min(found)[1] if found else None


# --- command line ---


def command_line() -> str:
    """Return the help of every command."""
    return "\n".join(
        f"## sensorpipe {command}".rstrip() + f"\n\n```text\n{help_of(command)}```\n"
        for command in COMMANDS
    )


def help_of(command: str) -> str:
    """Return what `--help` prints, 80 columns wide."""
    argv = [sys.executable, "-m", "sensorpipe_cli", *command.split(), "--help"]
    environ = os.environ | {"COLUMNS": "80", "NO_COLOR": "1"}
    done = subprocess.run(argv, check=True, capture_output=True, text=True, env=environ)  # noqa: S603
    return done.stdout.replace("python -m sensorpipe_cli", "sensorpipe")


# --- HTTP API ---


def http_api() -> str:
    """Return a table of the operations, and one of their parameters."""
    api = api_tables.document()
    heads = ("request", "scope", "parameters", "answer", "what it is")
    operations = table(heads, list(api_tables.operation_rows(api)))
    parameters = table(("parameter", "allowed", "meaning"), list(api_tables.parameter_rows(api)))
    return f"{operations}\n{parameters}"


def integrity_fields() -> str:
    """Return a table of the fields of `/api/integrity`."""
    rows = list(api_tables.field_rows(api_tables.document(), "Integrity"))
    return table(("field", "meaning"), rows)


# --- metrics ---


def metrics() -> str:
    """Return a table of the metrics of each program."""
    heads = ("metric", "type", "labels", "meaning")
    return "\n".join(
        f"## sensorpipe-{program}\n\n{table(heads, list(metric_rows(program)))}"
        for program in PROGRAMS
    )


def metric_rows(program: str) -> Iterator[Row]:
    """Yield name, type, labels and HELP text of a program's metrics, in alphabetical order."""
    prefix = f"sensorpipe_{program}_"
    found: dict[str, Row] = {}
    for collector in REGISTERED[program]():
        for family in collector.collect():
            if family.name.startswith(prefix) and "_process_" not in family.name:
                name = f"{family.name}_total" if family.type == "counter" else family.name
                # a metric has them itself, a family that a collector yields has them instead
                labels = getattr(collector, "_labelnames", getattr(family, "_labelnames", ()))
                named = ", ".join(f"`{label}`" for label in labels)
                text = f"{family.documentation.rstrip('.')}."
                found[name] = (f"`{name}`", family.type, named, text)
    yield from (row for _, row in sorted(found.items()))


def generator_metrics() -> Iterator[Any]:
    """Yield the generator's collectors."""
    from sensorpipe_generator.metrics import GeneratorMetrics  # noqa: PLC0415  as in http_api
    from sensorpipe_generator.publishing import Totals  # noqa: PLC0415

    yield GeneratorMetrics(Totals(), MagicMock())


def compactor_metrics() -> Iterator[Any]:
    """Yield the compactor's collectors."""
    from sensorpipe_compactor.metrics import CompactorMetrics  # noqa: PLC0415  as in http_api

    yield CompactorMetrics(MagicMock(), MagicMock())


def server_metrics() -> Iterator[Any]:
    """Yield the server's collectors: of its modules, of its API's process and of the audit."""
    from sensorpipe_server.api.http.metrics import REGISTRY as API  # noqa: PLC0415  as in http_api
    from sensorpipe_server.audit.metrics import AuditMetrics  # noqa: PLC0415
    from sensorpipe_server.ingest.metrics import watch_kafka  # noqa: PLC0415

    watch_kafka(lambda: True)
    importlib.import_module("sensorpipe_server.storage.metrics")
    yield from (*REGISTRY._collector_to_names, *API._collector_to_names)  # noqa: SLF001
    yield AuditMetrics(MagicMock())


def operator_metrics() -> Iterator[Any]:
    """Yield the operator's collectors."""
    from sensorpipe_operator.__main__ import (  # noqa: PLC0415  as in http_api
        _add_cluster_keys_gauge,
        _add_feed_gauges,
        _add_gauges,
        _add_owners_gauge,
    )
    from sensorpipe_operator.metrics import OperatorMetrics  # noqa: PLC0415

    registry, parts = CollectorRegistry(), MagicMock()
    parts.__len__.return_value = 0
    made = OperatorMetrics(registry, clock=lambda: 0.0)
    _add_feed_gauges(made, parts, parts, parts)
    _add_cluster_keys_gauge(made, parts)
    _add_owners_gauge(made, parts, parts)
    _add_gauges(
        made,
        acts=lambda: True,
        cache=parts,
        queue=parts,
        sink=parts,
        namespaces=parts,
        settings=parts,
    )
    yield from registry._collector_to_names  # noqa: SLF001


REGISTERED: Final[Mapping[str, Callable[[], Iterator[Any]]]] = {
    "generator": generator_metrics,
    "compactor": compactor_metrics,
    "server": server_metrics,
    "operator": operator_metrics,
}


# --- Sensor and Feed ---


def resource_fields(plural: str) -> str:
    """Return a table of the fields of a resource, from its definition."""
    file = ROOT / f"charts/sensorpipe/files/crds/{plural}.yaml"
    definition = yaml.safe_load(file.read_text(encoding="utf-8"))
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    sections = []
    for part in ("spec", "status"):
        rows = list(fields(schema["properties"][part], ""))
        sections.append(
            f"### {part}\n\n{table(('field', 'type', 'default', 'allowed', 'meaning'), rows)}"
        )
    return "\n".join(sections)


def fields(schema: dict[str, Any], prefix: str) -> Iterator[Row]:
    """Yield a row for each field below; the signals of a sum are not repeated."""
    required = schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        path = f"{prefix}{name}"
        default = "required" if name in required else shown(field.get("default"))
        yield (
            f"`{path}`",
            field.get("type") or ("quantity" if "anyOf" in field else "string or object"),
            default,
            bounds(field),
            field["description"],
        )
        if name != "sum":
            yield from fields(field, f"{path}.")
            yield from fields(field.get("items", {}), f"{path}[].")


def shown(value: object) -> str:
    """Return a default as YAML has it."""
    return "" if value is None else f"`{str(value).lower()}`"


def bounds(field: dict[str, Any]) -> str:
    """Return the range of a number or the choice of a word."""
    if "enum" in field:
        return ", ".join(f"`{word}`" for word in field["enum"])
    match field:
        case {"minimum": low, "maximum": high}:
            return f"{number(low)} to {number(high)}"
        case {"minimum": low}:
            return f"at least {number(low)}"
        case {"maximum": high}:
            return f"at most {number(high)}"
        case _:
            return ""


def number(value: float) -> str:
    """Return a number with all its digits, in groups of three."""
    return f"{int(value):,}" if value == int(value) else f"{value:,}"


if __name__ == "__main__":
    main()
