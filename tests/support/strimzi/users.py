"""Makes of KafkaUsers passwords and permissions, as Strimzi's user operator does."""

import base64
import secrets
import string
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from support.strimzi import status as strimzi_status
from support.strimzi.admin import Acl, Admin, RefusedError
from support.strimzi.api import Api, Object
from support.strimzi.objects import fingerprint
from support.strimzi.properties import UnknownError

Change = Callable[[Admin], None]

_RESOURCES = {"topic": 2, "group": 3, "cluster": 4, "transactionalId": 5}
_PATTERNS = {"literal": 3, "prefix": 4}
_PERMISSIONS = {"deny": 2, "allow": 3}
_OPERATIONS = (
    *("All", "Read", "Write", "Create", "Delete", "Alter", "Describe", "ClusterAction"),
    *("DescribeConfigs", "AlterConfigs", "IdempotentWrite"),
)
"""In the order of their numbers in Kafka's protocol, from 2."""

_LETTERS = string.ascii_letters + string.digits
_PASSWORD_LENGTH = 32


class Users:
    """All users of the Kafka clusters of a namespace.

    Looked at anew is a user whose resource or own Secret has changed, as Strimzi watches these. The
    Secrets that passwords come from it reads then only, and in a round of two minutes, which is
    left out here: a test would wait for it instead of failing.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: dict[tuple[str, str], str] = {}
        self._read: dict[str, tuple[tuple[str, str], str | UnknownError]] = {}
        """By name: the versions of resource and Secret, and the password or why there is none."""

    def changes(self, cluster: str, epoch: str) -> Iterator[Change]:
        """Yield what Kafka has to be told; each epoch it is told everything again."""
        resources = self._api.strimzi("KafkaUser", cluster)
        users = [user for user in resources if "deletionTimestamp" not in user["metadata"]]
        for user in users:
            if change := self._change(cluster, epoch, user):
                yield change
        names = {user["metadata"]["name"] for user in users}
        for _, name in [key for key in self._known if key[0] == cluster and key[1] not in names]:
            yield partial(self._forget, cluster, name)

    def _change(self, cluster: str, epoch: str, user: Object) -> Change | None:
        name = user["metadata"]["name"]
        try:
            password, permissions = self._password(user), acls(user)
        except UnknownError as error:
            strimzi_status.not_ready(self._api, user, error)
            return None
        state = fingerprint(epoch, password, repr(permissions))

        def change(admin: Admin) -> None:
            try:
                admin.set_password(name, password)
                admin.set_acls(name, permissions)
            except RefusedError as error:
                strimzi_status.not_ready(self._api, user, error)
                return
            self._known[cluster, name] = state
            strimzi_status.ready(self._api, user, username=name, secret=name)

        if self._known.get((cluster, name)) != state:
            return change
        strimzi_status.ready(self._api, user, username=name, secret=name)
        return None

    def _forget(self, cluster: str, name: str, admin: Admin) -> None:
        admin.forget_user(name)
        del self._known[cluster, name]

    def _password(self, user: Object) -> str:
        """Return the user's password as it was when something watched has last changed."""
        name = user["metadata"]["name"]
        there = self._api.get("v1", "secrets", name)
        versions = (_version(user), _version(there))
        known, found = self._read.get(name, (None, ""))
        if known != versions:
            try:
                found = self._see_to(user, there)
            except UnknownError as error:
                found = error
            self._read[name] = (versions, found)
        if isinstance(found, UnknownError):
            raise found
        return found

    def _see_to(self, user: Object, there: Object | None) -> str:
        """Return the user's password, made if need be; its Secret is seen to."""
        authentication = user["spec"].get("authentication", {})
        if authentication.get("type") != "scram-sha-512":
            raise UnknownError("spec.authentication: the stand-in knows only type scram-sha-512")
        given = authentication.get("password")
        if given is not None:
            password = self._given(given["valueFrom"]["secretKeyRef"])
        else:
            password = _decoded(there, "password") or "".join(
                secrets.choice(_LETTERS) for _ in range(_PASSWORD_LENGTH)
            )
        wanted = _secret(user, password)
        owners = (there or {"metadata": {}})["metadata"].get("ownerReferences", [])
        mine = [one["uid"] for one in owners] == [user["metadata"]["uid"]]
        if not mine or _decoded(there, "password") != password:
            self._api.apply(wanted)
        return password

    def _given(self, reference: dict[str, str]) -> str:
        name, key = reference["name"], reference["key"]
        password = _decoded(self._api.get("v1", "secrets", name), key)
        if password is None:
            raise UnknownError(f"Secret {name} with requested user password has no {key}")
        return password


def acls(user: Object) -> list[Acl]:
    """Return a KafkaUser's permissions as Kafka has them."""
    rules = (user["spec"].get("authorization") or {}).get("acls", [])
    return [
        _acl(user["metadata"]["name"], rule, operation)
        for rule in rules
        for operation in rule.get("operations", [])
    ]


def _acl(user: str, rule: Object, operation: str) -> Acl:
    resource = rule["resource"]
    kind = resource["type"]
    return Acl(
        _RESOURCES[kind],
        "kafka-cluster" if kind == "cluster" else resource["name"],
        _PATTERNS[resource.get("patternType", "literal")],
        f"User:{user}",
        rule.get("host", "*"),
        _OPERATIONS.index(operation) + 2,
        _PERMISSIONS[rule.get("type", "allow")],
    )


def _secret(user: Object, password: str) -> dict[str, Any]:
    name = user["metadata"]["name"]
    login = "org.apache.kafka.common.security.scram.ScramLoginModule"
    more = user["spec"].get("template", {}).get("secret", {}).get("metadata", {})
    owner = {
        "apiVersion": "kafka.strimzi.io/v1",
        "kind": "KafkaUser",
        "name": name,
        "uid": user["metadata"]["uid"],
        "blockOwnerDeletion": True,
        "controller": False,
    }
    labels = {
        "strimzi.io/cluster": user["metadata"]["labels"]["strimzi.io/cluster"],
        "strimzi.io/kind": "KafkaUser",
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/managed-by": "strimzi-user-operator",
        "app.kubernetes.io/name": "strimzi-user-operator",
        "app.kubernetes.io/part-of": f"strimzi-{name}",
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "labels": {**more.get("labels", {}), **labels},
            "annotations": more.get("annotations", {}),
            "ownerReferences": [owner],
        },
        "stringData": {
            "password": password,
            "sasl.jaas.config": f'{login} required username="{name}" password="{password}";',
        },
    }


def _version(there: Object | None) -> str:
    """Return what is another after each change of an object, in the whole cluster."""
    version: str = (there or {"metadata": {}})["metadata"].get("resourceVersion", "")
    return version


def _decoded(secret: Object | None, key: str) -> str | None:
    found = ((secret or {}).get("data") or {}).get(key)
    return base64.b64decode(found).decode() if found else None
