"""Objects against the schemas of their kinds, strictly: whatever these do not know is refused."""

import functools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft4Validator, ValidationError, validators
from support.chart import go as chart_go

Schema = dict[str, Any]
Kind = tuple[str, str]

_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_LOOSE: dict[str, Schema] = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["integer", "string"]},
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["number", "string"]},
}
"""What Kubernetes takes and its schemas call a string."""


class Schemas:
    """Those of one version of Kubernetes, and of some custom resources."""

    def __init__(self, openapi: Schema, crds: Iterable[Schema]) -> None:
        definitions = {
            name: _LOOSE.get(name) or _strict(schema)
            for name, schema in openapi["definitions"].items()
        }
        self._validator = _Validator({"definitions": definitions})
        self._kinds: dict[Kind, Schema] = {
            kind: {"$ref": f"#/definitions/{name}"}
            for name, schema in openapi["definitions"].items()
            for kind in _kinds(schema)
        }
        for crd in crds:
            self._kinds |= _custom(crd)

    def faults(self, found: dict[str, Any]) -> list[str]:
        """Return what is wrong with an object, a line each."""
        kind, name = (found["apiVersion"], found["kind"]), found["metadata"]["name"]
        if (schema := self._kinds.get(kind)) is None:
            return [f"{kind[1]} {name}: there is no {'/'.join(kind)}"]
        errors = self._validator.evolve(schema=schema).iter_errors(found)
        return [f"{kind[1]} {name}: {error.json_path}: {error.message}" for error in errors]


@functools.cache
def kubernetes(minor: str, *crds: Path) -> Schemas:
    """Return the schemas of a minor version, `1.37`, and of the resources defined in files."""
    openapi = json.loads(chart_go.schema(f"kubernetes-{minor}.json").read_text())
    return Schemas(openapi, [yaml.safe_load(file.read_text()) for file in crds])


def _kinds(schema: Schema) -> Iterator[Kind]:
    for kind in schema.get("x-kubernetes-group-version-kind", []):
        group = f"{kind['group']}/" if kind["group"] else ""
        yield f"{group}{kind['version']}", kind["kind"]


def _custom(crd: Schema) -> dict[Kind, Schema]:
    spec, found = crd["spec"], {}
    for version in spec["versions"]:
        schema = _strict(version["schema"]["openAPIV3Schema"])
        schema["properties"] |= {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"$ref": f"#/definitions/{_META}"},
        }
        found[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = schema
    return found


def _strict(schema: Schema) -> Schema:
    """Return the schema closed wherever it says what there is, as Kubernetes takes it."""
    made = dict(schema)
    if made.pop("x-kubernetes-int-or-string", False):
        made["type"] = ["integer", "string"]
    if "properties" in made:
        made["properties"] = {name: _strict(inner) for name, inner in made["properties"].items()}
        if not made.get("x-kubernetes-preserve-unknown-fields"):
            made.setdefault("additionalProperties", False)
    for keyword in ("items", "additionalProperties"):
        if isinstance(made.get(keyword), dict):
            made[keyword] = _strict(made[keyword])
    return made


def _keys_differ(_: Any, keys: list[str], items: Any, __: Schema) -> Iterator[ValidationError]:
    """Server-side apply tells the items of such a list apart by these keys."""
    if isinstance(items, list):
        seen = [tuple(item.get(key) for key in keys) for item in items if isinstance(item, dict)]
        for twice in sorted({repr(key) for key in seen if seen.count(key) > 1}):
            yield ValidationError(f"{twice} is there more than once")


_Validator: Any = validators.extend(Draft4Validator, {"x-kubernetes-list-map-keys": _keys_differ})
