"""What the operator reacts to. Everything does the same: note it, and look at the Sensor.

There is no handler that would need a finalizer or an annotation: deletion is the garbage
collector's, and what failed is tried again by the work queue.
"""

from typing import Any

import kopf

from sensorpipe_operator.names import GROUP, MANAGED_BY, VERSION
from sensorpipe_operator.no_memory import NoDiffBase, NoProgress
from sensorpipe_operator.watching import Watching

_MINE = {"app.kubernetes.io/managed-by": MANAGED_BY.partition("=")[2]}


@kopf.on.event(GROUP, VERSION, "sensors")
async def sensor_changed(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
    """React to a Sensor: created, edited, deleted, or there when the operator starts."""
    _watching(memo).heard("Sensor", event)


@kopf.on.event("apps", "v1", "deployments", labels=_MINE)
async def deployment_changed(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
    """React to a Deployment: drift, deletion, progress."""
    _watching(memo).heard("Deployment", event)


@kopf.on.event("", "v1", "configmaps", labels=_MINE)
async def config_map_changed(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
    """React to a ConfigMap: drift, deletion."""
    _watching(memo).heard("ConfigMap", event)


@kopf.on.event("", "v1", "pods", labels=_MINE)
async def pod_changed(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
    """React to a pod: why it does not run."""
    _watching(memo).heard("Pod", event)


def kopf_settings() -> kopf.OperatorSettings:
    """Return settings under which the operator does not go deaf."""
    made = kopf.OperatorSettings()
    made.watching.server_timeout = 600  # without one, a lost connection is never noticed
    made.watching.client_timeout = 660
    made.watching.connect_timeout = 10
    made.networking.connect_timeout = 10
    made.networking.request_timeout = 30
    made.networking.error_backoffs = [1, 2, 5, 10]
    # one for each object that is heard of, and it stays for the idle time: with a limit, so many
    # objects in that time would be all. The handlers only take notes; the work queue is limited.
    made.queueing.worker_limit = None
    made.queueing.idle_timeout = 0.5
    made.process.ultimate_exiting_timeout = None  # it would kill what has begun anew since
    made.posting.enabled = False
    made.persistence.diffbase_storage = NoDiffBase()
    made.persistence.progress_storage = NoProgress()
    made.scanning.disabled = True  # needs no right to watch definitions and namespaces
    for children in (("apps", "v1", "deployments"), ("", "v1", "configmaps"), ("", "v1", "pods")):
        made.watching.label_selectors[children] = MANAGED_BY
    return made


def _watching(memo: kopf.Memo) -> Watching:
    watching: Watching = memo.watching
    return watching
