"""Decides what a Secret of the release still lacks; a password that is there stays as it is."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote

import msgspec

from sensorpipe_operator.names import GROUP, Body
from sensorpipe_operator.passwords.plan import Plan, Text, WantedSecret

MADE_ANNOTATION: Final = f"{GROUP}/made"
"""Annotation of the Secrets: of each password made here the digest, and the chart's name for its
version. The chart knows that name before the password is made, and restarts pods where it is
another."""

KEPT: Final = {
    "helm.sh/resource-policy": "keep",  # charts before had these Secrets in the release's manifest
    "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
    "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
}
"""Annotations that have Helm and Argo CD leave the Secrets alone. Argo CD can take an object with
the release's labels for one that is no longer rendered, and would delete it."""

_HELM_NAMESPACE: Final = "meta.helm.sh/release-namespace"
_RELEASE_NAMESPACE: Final = f"{GROUP}/release-namespace"

Values = Mapping[str, bytes]
"""The values of a Secret by key."""
Known = Mapping[str, Values]
"""The values of the Secrets in the release's namespace, by their names."""


class RefusedError(Exception):
    """A Secret that is there cannot be used; only its owner can say what is to become of it."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a Secret is to have besides what it has."""

    values: dict[str, bytes]
    """All values of the Secret, those that it already had included."""
    added: tuple[str, ...]
    """Keys whose value is new or another."""
    body: Body | None
    """The Secret to create, or the merge patch for the one that is there; None for no change."""


def change(
    plan: Plan, wanted: WantedSecret, live: Body | None, known: Known, draw: Callable[[], str]
) -> Change:
    """Return what is to be written; `draw` returns a new password.

    Raises RefusedError if the Secret is another's, or has a password that cannot be used.
    """
    if live is not None:
        _check_owner(plan, wanted, live)
    held = _values(live)
    made = _made(wanted, held, is_new=live is None, draw=draw)
    values = {**held, **made}
    texts = {
        key: _text(wanted, key, text, {**known, wanted.name: values})
        for key, text in wanted.texts.items()
    }
    added = made | {key: value for key, value in texts.items() if held.get(key) != value}
    annotations = _annotations(plan, wanted, live, made)
    body = _create(plan, wanted, added, annotations) if live is None else None
    if live is not None and (added or annotations):
        body = _patch(live, added, annotations)
    return Change({**values, **added}, tuple(sorted(added)), body)


def digest(namespace: str, name: str, value: bytes) -> str:
    """Return what tells whether a password has changed, as the chart computes it."""
    return sha256(f"{namespace}/{name}/".encode() + value).hexdigest()


def _check_owner(plan: Plan, wanted: WantedSecret, live: Body) -> None:
    metadata = live["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    home = annotations.get(_RELEASE_NAMESPACE) or annotations.get(_HELM_NAMESPACE)
    own = {"app.kubernetes.io/part-of": "sensorpipe", "app.kubernetes.io/instance": plan.release}
    if labels.items() >= own.items() and home in (None, plan.namespace):
        return
    text = " and ".join(f"{label}={value}" for label, value in own.items())
    raise RefusedError(
        f"Secret {wanted.name} in namespace {wanted.namespace} exists and does not belong to "
        f"release {plan.release} in namespace {plan.namespace}; it is left unchanged. Delete it, "
        f"or give it to the release with the labels {text}, or name it as an existingSecret"
    )


def _values(live: Body | None) -> dict[str, bytes]:
    data: dict[str, str] = (live or {}).get("data") or {}
    return {key: b64decode(value) for key, value in data.items()}


def _made(
    wanted: WantedSecret, held: Values, *, is_new: bool, draw: Callable[[], str]
) -> dict[str, bytes]:
    """Return a value for each password that is not there."""
    for key in wanted.made:
        if key in held and not held[key]:
            raise RefusedError(
                f"Secret {wanted.name} in namespace {wanted.namespace}: {key} is empty; "
                "remove the key, and a password is made"
            )
    inherited = {} if is_new else wanted.inherited
    missing = [key for key in wanted.made if key not in held]
    return {key: (inherited.get(key) or draw()).encode() for key in missing}


def _text(wanted: WantedSecret, key: str, text: Text, known: Known) -> bytes:
    password = known[text.secret][text.key]
    try:
        middle = quote(password.decode(), safe="")
    except UnicodeDecodeError:
        raise RefusedError(
            f"Secret {text.secret}: {text.key} is not UTF-8, and {key} of {wanted.name} must "
            "contain it; remove the key, and a password is made"
        ) from None
    return f"{text.before}{middle}{text.after}".encode()


def _annotations(
    plan: Plan, wanted: WantedSecret, live: Body | None, made: Values
) -> dict[str, str]:
    """Return the annotations that are missing or change."""
    there: dict[str, str] = (live or {"metadata": {}})["metadata"].get("annotations") or {}
    lacking = {name: text for name, text in KEPT.items() if name not in there}
    if made:
        record = _record(there.get(MADE_ANNOTATION, ""))
        for key, value in made.items():
            number = digest(wanted.namespace, wanted.name, value)
            record[key] = {"as": plan.token, "sha256": number}
        lacking[MADE_ANNOTATION] = msgspec.json.encode(record, order="sorted").decode()
    return lacking


def _record(text: str) -> dict[str, Any]:
    """Return what the annotation says; nothing if somebody has made it unreadable."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except ValueError:
        return {}


def _create(plan: Plan, wanted: WantedSecret, values: Values, annotations: dict[str, str]) -> Body:
    metadata = {
        "name": wanted.name,
        "namespace": wanted.namespace,
        "labels": wanted.labels,
        "annotations": {**annotations, _RELEASE_NAMESPACE: plan.namespace},
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": "Opaque",
        "data": _encoded(values),
    }


def _patch(live: Body, values: Values, annotations: dict[str, str]) -> Body:
    """Return a merge patch that fails if the Secret has changed since it was read."""
    version = live["metadata"]["resourceVersion"]
    patch: Body = {"metadata": {"resourceVersion": version, "annotations": annotations}}
    return {**patch, "data": _encoded(values)} if values else patch


def _encoded(values: Values) -> dict[str, str]:
    return {key: b64encode(value).decode() for key, value in values.items()}
