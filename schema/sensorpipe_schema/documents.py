"""Documents in YAML and JSON files, read strictly: as Kubernetes understands them, or not at all.

Numbers are those of YAML 1.2's core schema: PyYAML would take `1e3` for text and
`1:30` for ninety. There are no tags, dates or merge keys, and no key is there twice.
An alias stays one object, so nothing here grows with what it stands for.
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
MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 50


class DocumentError(ValueError):
    """A file that cannot be read; the text says why, with line and column where there is one."""


def read_documents(path: Path) -> list[Any]:
    """Return all documents of a file, empty ones left out, or raise DocumentError."""
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
        raise ValueError(f"the key {next(k for k in keys if keys.count(k) > 1)!r} is there twice")
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
    """Refuse tags, and a nesting at which PyYAML's recursion would end the process."""
    depth = 0
    for event in yaml.parse(text, _SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise _at(event, f"nested more than {MAX_DEPTH} deep")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise _at(event, f"tags such as {tag} are not taken")


class _Loader(_SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2 and no key twice."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  what PyYAML calls it; filled below

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:  # noqa: FBT001, FBT002  inherited
        """Refuse a key that is there already."""
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | bool | None):
                raise _at(key_node, "a key must be text")
            if key in seen:
                raise _at(key_node, f"the key {key!r} is there twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


def _at(place: yaml.Node | yaml.Event, problem: str) -> yaml.MarkedYAMLError:
    mark: Any = place.start_mark  # libyaml's has line and column, too, but is of another type
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _scalar(tag: str, pattern: str, first: Iterable[str], construct: Callable[[str], Any]) -> None:
    """Teach the loader a plain scalar of YAML 1.2."""
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
