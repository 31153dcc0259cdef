"""Issuer and keys of the cluster's tokens, as a ConfigMap has them. Pure.

Only public parameters of keys are published, whatever the API server answers with.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from sensorpipe_operator.names import MANAGER, Body, Kind

ISSUER_PATH: Final = "/.well-known/openid-configuration"
KEYS_PATH: Final = "/openid/v1/jwks"
"""Paths of the API server; each service account may read them, by the cluster's own roles."""

ISSUER: Final = "issuer"
KEYS: Final = "jwks.json"
"""The ConfigMap's keys."""

COMPONENT: Final = "cluster-issuer"

MAX_KEYS: Final = 32
"""Largest number of keys; the server takes no more."""

_INSTANCE: Final = "app.kubernetes.io/instance"
_PUBLIC: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
"""By type, the parameters of a public key."""
_DESCRIBING: Final = ("kid", "use", "alg")
_MAX_KEY_CHARACTERS: Final = 4096
"""Largest size of one key as JSON; an RSA key of 8192 bits has less than half of it."""

_is_issuer: Final = re.compile(r"[^\s\x00-\x1f\x7f]{1,512}").fullmatch
_is_parameter: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII).fullmatch


class UnusableError(ValueError):
    """What the API server answered is not to be published; the text says why."""


def published(configuration: Any, key_set: Any) -> dict[str, str]:
    """Return the data of the ConfigMap, or raise UnusableError.

    The arguments should be a discovery document and a JSON Web Key Set. The same keys in another
    order give the same data.
    """
    issuer = configuration.get("issuer") if isinstance(configuration, dict) else None
    if not isinstance(issuer, str) or not _is_issuer(issuer):
        raise UnusableError(f"{ISSUER_PATH} has no issuer of 1 to 512 characters: {issuer!r:.200}")
    entries = key_set.get("keys") if isinstance(key_set, dict) else None
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_KEYS:
        raise UnusableError(f"{KEYS_PATH} has no list of 1 to {MAX_KEYS} keys")
    keys = [_public(entry, f"keys[{number}]") for number, entry in enumerate(entries)]
    kept = sorted(json.dumps(key, sort_keys=True) for key in keys if key is not None)
    if not kept:
        raise UnusableError(f"{KEYS_PATH} has no key of the types {', '.join(_PUBLIC)}")
    return {ISSUER: issuer, KEYS: f'{{"keys": [{", ".join(kept)}]}}'}


def _public(entry: Any, at: str) -> dict[str, str] | None:
    """Return the public parameters of a key; None for a type that verifies no tokens of ours.

    Raises UnusableError for what is no key: the answer may be of something else, or cut off.
    """
    kind = entry.get("kty") if isinstance(entry, dict) else None
    if not isinstance(kind, str):
        raise UnusableError(f"{KEYS_PATH}: {at} is no key")
    if kind not in _PUBLIC:
        return None
    parameters = {name: entry.get(name) for name in _PUBLIC[kind]}
    described = {name: entry[name] for name in _DESCRIBING if name in entry}
    key = {"kty": kind, **parameters, **described}
    if (
        not all(isinstance(value, str) for value in key.values())
        or not all(_is_parameter(str(value)) for value in parameters.values())
        or len(json.dumps(key)) > _MAX_KEY_CHARACTERS
    ):
        raise UnusableError(f"{KEYS_PATH}: {at} is no valid key of the type {kind}")
    return {name: str(value) for name, value in key.items()}


def config_map(place: tuple[str, str], data: Mapping[str, str], owner: Body | None) -> Body:
    """Return the ConfigMap of this namespace and name.

    It is deleted with `owner`, the operator's Deployment, and belongs to the same release.
    """
    namespace, name = place
    labels = {
        "app.kubernetes.io/name": "sensorpipe",
        "app.kubernetes.io/component": COMPONENT,
        "app.kubernetes.io/part-of": "sensorpipe",
        "app.kubernetes.io/managed-by": MANAGER,
    }
    metadata: dict[str, Any] = {"name": name, "namespace": namespace, "labels": labels}
    if owner is not None:
        found = owner["metadata"]
        if instance := found.get("labels", {}).get(_INSTANCE):
            labels[_INSTANCE] = instance
        # without blockOwnerDeletion, which would need a right to the Deployment's finalizers
        reference = {"apiVersion": "apps/v1", "kind": str(Kind.DEPLOYMENT)}
        reference |= {"name": found["name"], "uid": found["uid"]}
        metadata["ownerReferences"] = [reference]
    return {
        "apiVersion": "v1",
        "kind": str(Kind.CONFIG_MAP),
        "metadata": metadata,
        "data": dict(data),
    }


def is_ours(live: Body) -> bool:
    """Whether a ConfigMap is one that the operator made for this.

    By its labels, which a restored backup has too; a Sensor's ConfigMap has another component.
    """
    labels = live["metadata"].get("labels") or {}
    return (
        labels.get("app.kubernetes.io/managed-by") == MANAGER
        and labels.get("app.kubernetes.io/component") == COMPONENT
    )


def pause(failures: int, every_seconds: float, part: float) -> float:
    """Return the seconds until the next look, after so many failed ones in a row.

    `part` is random, from 0 to 1: operators that start together do not look together.
    """
    whole = every_seconds if not failures else min(every_seconds, 60.0, 2.0 ** min(failures, 10))
    return whole * (0.8 + 0.2 * part)
