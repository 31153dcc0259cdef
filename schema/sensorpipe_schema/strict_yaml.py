"""Reads YAML and JSON files strictly: as Kubernetes understands them, or with an error.

Numbers are those of YAML 1.2's core schema: PyYAML would read `1e3` as text and `1:30` as 90.
Tags, dates, merge keys and duplicate keys are not supported. An alias stays one object, so
memory does not grow with what it refers to.
"""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import yaml

try:
    from yaml import CSafeLoader as _SafeLoader
except ImportError:  # PyYAML without libyaml
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment]

SUFFIXES: Final = (".yaml", ".yml", ".json")
"""File name extensions of manifests."""

MAX_BYTES: Final = 1024 * 1024
"""Largest size of a file, in bytes."""

MAX_DEPTH: Final = 50
"""Largest depth of nested lists and mappings."""


class DocumentError(ValueError):
    """A file that cannot be read; the text says why, with line and column if known."""


def read_documents(path: Path) -> list[Any]:
    """Return all documents of a file without the empty ones, or raise DocumentError."""
    text = _text(path)
    documents = [_json(text)] if path.suffix == ".json" else _yaml(text)
    return [document for document in documents if document is not None]


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise DocumentError(f"must be at most {MAX_BYTES // 1024} KiB")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise DocumentError(f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DocumentError(f"must be UTF-8: {error}") from error


def _json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise DocumentError(f"{where}: not JSON: {error.msg}") from error
    except RecursionError as error:
        raise DocumentError("not JSON: nested too deeply") from error
    except ValueError as error:
        raise DocumentError(f"not JSON: {error}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"duplicate key {next(k for k in keys if keys.count(k) > 1)!r}")
    return content


def _yaml(text: str) -> list[Any]:
    try:
        _check_events(text)
        return list(yaml.load_all(text, _Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise DocumentError(f"{where}not YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise DocumentError(f"not YAML: {' '.join(str(error).split())}") from error


def _check_events(text: str) -> None:
    """Refuse tags, and nesting so deep that PyYAML's recursion would end the process."""
    depth = 0
    for event in yaml.parse(text, _SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise _at(event, f"nested more than {MAX_DEPTH} deep")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise _at(event, f"YAML tags are not supported; got {tag}")


class _Loader(_SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2 and without duplicate keys."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  what PyYAML calls it; filled below

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:  # noqa: FBT001, FBT002  inherited
        """Construct a mapping, or raise MarkedYAMLError for a duplicate key."""
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | bool | None):
                raise _at(key_node, "a key must be text")
            if key in seen:
                raise _at(key_node, f"duplicate key {key!r}")
            seen.add(key)
        return super().construct_mapping(node, deep)


def _at(place: yaml.Node | yaml.Event, problem: str) -> yaml.MarkedYAMLError:
    mark: Any = place.start_mark  # libyaml's has line and column, too, but is of another type
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _scalar(tag: str, pattern: str, first: Iterable[str], construct: Callable[[str], Any]) -> None:
    """Add a plain scalar of YAML 1.2 to the loader."""
    full = f"tag:yaml.org,2002:{tag}"
    _Loader.add_implicit_resolver(full, re.compile(f"(?:{pattern})$"), list(first))
    _Loader.add_constructor(full, lambda _, node: construct(node.value))


_scalar("null", r"~|null|Null|NULL|", ("~", "n", "N", ""), lambda _: None)
_scalar("bool", r"true|True|TRUE|false|False|FALSE", "tTfF", lambda text: text[0] in "tT")
_scalar("int", r"[-+]?(?:0|[1-9][0-9]{0,30})", "-+0123456789", int)
_scalar(
    "float",
    r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?)"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
    "-+.0123456789",
    lambda text: float(text.replace(".i", "i").replace(".I", "I").replace(".n", "n").lower()),
)
