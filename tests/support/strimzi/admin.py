"""What Strimzi's operators ask of Kafka: passwords, ACLs and topics."""

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from aiokafka.errors import for_code
from aiokafka.protocol.admin import (
    AlterConfigsRequest_v1,
    CreateAclsRequest_v1,
    CreatePartitionsRequest_v1,
    CreateTopicsRequest_v3,
    DeleteAclsRequest_v1,
    DeleteTopicsRequest_v3,
    DescribeAclsRequest_v1,
)
from aiokafka.protocol.metadata import MetadataRequest_v4
from support.strimzi.wire import AlterUserScramCredentialsRequest, Wire

_ITERATIONS = 4096
_SCRAM_SHA_512 = 2
_ANY = 1
_TOPIC = 2
_TIMEOUT_MS = 20_000
_REALLY = False
"""As opposed to: only check the request."""
_CREATE = False
"""Whether to create a topic because somebody asks about it."""
_ALREADY_EXISTS = 36
_UNKNOWN = 3
_NO_SUCH_CREDENTIAL = 91


class RefusedError(RuntimeError):
    """Kafka does not do what a resource asks for; the text is what it said."""

    reason = "KafkaError"
    """As the resource's status names it."""


class NotSupportedError(RefusedError):
    """Strimzi does not change this in a topic that is there; the text says what."""

    reason = "NotSupported"


class Acl(NamedTuple):
    """One permission, as Kafka's protocol has it."""

    resource_type: int
    resource_name: str
    pattern_type: int
    principal: str
    host: str
    operation: int
    permission: int


class Admin:
    """Changes to one Kafka cluster; each may be repeated."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def set_password(self, user: str, password: str) -> None:
        """Let a user in with this password, and no other."""
        salt = secrets.token_bytes(24)
        salted = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
        upsertion: Any = (user, _SCRAM_SHA_512, _ITERATIONS, salt, salted, {})
        answer = self._wire.ask(AlterUserScramCredentialsRequest([], [upsertion], {}))
        _check(answer["results"])

    def forget_user(self, user: str) -> None:
        """Let a user in no more, nor anybody do what it might."""
        deletion: Any = (user, _SCRAM_SHA_512, {})
        answer = self._wire.ask(AlterUserScramCredentialsRequest([deletion], [], {}))
        _check(answer["results"], fine=(0, _NO_SUCH_CREDENTIAL))
        self.set_acls(user, [])

    def set_acls(self, user: str, wanted: Iterable[Acl]) -> None:
        """Allow a user exactly this; what stays is not touched on the way."""
        there, wanted = self._acls(f"User:{user}"), set(wanted)
        if missing := sorted(wanted - there):
            answer = self._wire.ask(CreateAclsRequest_v1(missing))
            _check(answer["creation_responses"])
        if surplus := sorted(there - wanted):
            answer = self._wire.ask(DeleteAclsRequest_v1(surplus))
            _check(answer["filter_responses"])

    def set_topic(
        self, name: str, partitions: int | None, replicas: int | None, config: Mapping[str, str]
    ) -> None:
        """Create a topic, or make one that is there like this."""
        new: Any = (name, partitions or -1, replicas or -1, [], list(config.items()))
        answer = self._wire.ask(CreateTopicsRequest_v3([new], _TIMEOUT_MS, _REALLY))
        _check(answer["topic_errors"], fine=(0, _ALREADY_EXISTS))
        if answer["topic_errors"][0]["error_code"] == _ALREADY_EXISTS:
            self._change_topic(name, partitions, replicas, config)

    def delete_topic(self, name: str) -> None:
        """Delete a topic with all that is in it."""
        answer = self._wire.ask(DeleteTopicsRequest_v3([name], _TIMEOUT_MS))
        _check(answer["topic_error_codes"], fine=(0, _UNKNOWN))

    def _change_topic(
        self, name: str, partitions: int | None, replicas: int | None, config: Mapping[str, str]
    ) -> None:
        # all of a topic's configuration at once: what is not named gets its default back
        resource = (_TOPIC, name, list(config.items()))
        _check(self._wire.ask(AlterConfigsRequest_v1([resource], _REALLY))["resources"])
        topic = self._wire.ask(MetadataRequest_v4([name], _CREATE))["topics"][0]
        there = len(topic["partitions"])
        if partitions is not None and partitions < there:
            raise NotSupportedError("Decreasing partitions not supported")
        if partitions is not None and partitions > there:
            request = CreatePartitionsRequest_v1([(name, (partitions, None))], _TIMEOUT_MS, _REALLY)
            _check(self._wire.ask(request)["topic_errors"])
        others = [
            one["partition"] for one in topic["partitions"] if len(one["replicas"]) != replicas
        ]
        if replicas is not None and others:
            raise NotSupportedError(
                "Replication factor change not supported, but required for partitions "
                f"{sorted(others)}"
            )

    def _acls(self, principal: str) -> set[Acl]:
        request = DescribeAclsRequest_v1(_ANY, None, _ANY, principal, None, _ANY, _ANY)
        answer = self._wire.ask(request)
        _check([answer])
        return {
            Acl(
                resource["resource_type"],
                resource["resource_name"],
                resource["resource_pattern_type"],
                acl["principal"],
                acl["host"],
                acl["operation"],
                acl["permission_type"],
            )
            for resource in answer["resources"]
            for acl in resource["acls"]
        }


def _check(results: Iterable[Mapping[str, Any]], fine: tuple[int, ...] = (0,)) -> None:
    for result in results:
        if result["error_code"] not in fine:
            name = for_code(result["error_code"]).__name__
            raise RefusedError(f"{name}: {result.get('error_message') or 'Kafka says no more'}")
