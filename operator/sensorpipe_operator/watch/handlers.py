"""The kopf handler of all watch events: it passes them to the event sink.

It needs no finalizer and no annotation: the garbage collector deletes the children, and the work
queue retries what failed.
"""

from typing import Any

import kopf

from sensorpipe_operator.names import MANAGED_BY, MANAGER, Kind
from sensorpipe_operator.watch.kopf_storage import NoDiffBase, NoProgress

_CHILDREN = {"app.kubernetes.io/managed-by": MANAGER}


async def on_event(event: kopf.RawEvent, memo: kopf.Memo, param: Any = None, **_: Any) -> None:
    """Pass an event of an object of the kind `param` to the EventSink `memo.sink`."""
    memo.sink.on_event(param, event)


for _kind in Kind:
    kopf.on.event(
        *_kind.resource,
        id=_kind.resource.plural,
        labels=_CHILDREN if _kind.is_child else None,
        param=_kind,
    )(on_event)


def kopf_settings() -> kopf.OperatorSettings:
    """Return kopf's settings: watches that reconnect, and no writes to any object."""
    settings = kopf.OperatorSettings()
    settings.watching.server_timeout = 600  # without one, a lost connection is never noticed
    settings.watching.client_timeout = 660
    settings.watching.connect_timeout = 10
    settings.networking.connect_timeout = 10
    settings.networking.request_timeout = 30
    settings.networking.error_backoffs = [1, 2, 5, 10]
    # kopf has a worker for each object with an event, until the idle time is over: a limit would
    # be on objects in that time. The handler only updates the cache; the work queue is limited.
    settings.queueing.worker_limit = None
    settings.queueing.idle_timeout = 0.1  # a worker keeps the object until then
    settings.watching.chunk_size = 100  # otherwise it lists all objects at once, as dicts
    settings.process.ultimate_exiting_timeout = None  # it would kill a run that was restarted
    settings.posting.enabled = False
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = NoProgress()
    settings.scanning.disabled = True  # needs no right to watch definitions and namespaces
    for kind in Kind:
        if kind.is_child:
            group, version, plural = kind.resource
            settings.watching.label_selectors[group, version, plural] = MANAGED_BY
    return settings
