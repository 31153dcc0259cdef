"""Makes of KafkaTopics topics, as Strimzi's topic operator does: its finalizer included."""

from collections.abc import Callable, Iterator

from support.strimzi import status as strimzi_status
from support.strimzi.admin import Admin, NotSupportedError, RefusedError
from support.strimzi.api import Api, Object
from support.strimzi.objects import fingerprint
from support.strimzi.properties import as_setting

Change = Callable[[Admin], None]

_FINALIZER = "strimzi.io/topic-operator"


class Topics:
    """All topics of the Kafka clusters of a namespace."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: dict[str, str] = {}

    def changes(self, cluster: str, epoch: str) -> Iterator[Change]:
        """Yield what Kafka has to be told; each epoch it is told everything again."""
        for topic in self._api.strimzi("KafkaTopic", cluster):
            if change := self._change(epoch, topic):
                yield change

    def release(self) -> None:
        """Take the finalizers away, as there is nobody any more who would."""
        for topic in self._api.strimzi("KafkaTopic"):
            self._set_finalizer(topic, present=False)

    def _change(self, epoch: str, topic: Object) -> Change | None:
        metadata = topic["metadata"]
        managed = metadata.get("annotations", {}).get("strimzi.io/managed") != "false"
        if "deletionTimestamp" in metadata:
            if managed and _FINALIZER in metadata.get("finalizers", []):
                return lambda admin: self._delete(admin, topic)
            self._set_finalizer(topic, present=False)
            return None
        self._set_finalizer(topic, present=managed)
        if not managed:
            strimzi_status.write(self._api, topic, [{"type": "Unmanaged", "status": "True"}])
            return None
        state = fingerprint(epoch, metadata["uid"], str(metadata["generation"]))
        if self._known.get(metadata["name"]) == state:
            return None
        return lambda admin: self._set(admin, topic, state)

    def _set(self, admin: Admin, topic: Object, state: str) -> None:
        spec, name = topic.get("spec", {}), _topic_name(topic)
        config = {name: as_setting(value) for name, value in spec.get("config", {}).items()}
        try:
            _check_name(topic)
            admin.set_topic(name, spec.get("partitions"), spec.get("replicas"), config)
        except RefusedError as error:
            strimzi_status.not_ready(self._api, topic, error)
        else:
            strimzi_status.ready(self._api, topic, topicName=name)
        self._known[topic["metadata"]["name"]] = state

    def _delete(self, admin: Admin, topic: Object) -> None:
        admin.delete_topic(_topic_name(topic))
        self._set_finalizer(topic, present=False)
        self._known.pop(topic["metadata"]["name"], None)

    def _set_finalizer(self, topic: Object, *, present: bool) -> None:
        there = topic["metadata"].get("finalizers", [])
        others = [one for one in there if one != _FINALIZER]
        wanted = [*others, _FINALIZER] if present else others
        if set(wanted) != set(there):
            self._api.merge(topic, {"metadata": {"finalizers": wanted}})


def _check_name(topic: Object) -> None:
    name = _topic_name(topic)
    if topic.get("status", {}).get("topicName", name) != name:
        raise NotSupportedError("Changing spec.topicName is not supported")


def _topic_name(topic: Object) -> str:
    name: str = topic.get("spec", {}).get("topicName") or topic["metadata"]["name"]
    return name
