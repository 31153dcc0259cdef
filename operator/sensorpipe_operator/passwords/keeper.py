"""Brings the Secrets of a release to what its plan says, one after the other."""

import asyncio
import logging
import secrets
import string
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from sensorpipe_operator.kube_api import ApiError
from sensorpipe_operator.names import Body
from sensorpipe_operator.passwords.content import Change, Values, change
from sensorpipe_operator.passwords.plan import Plan, WantedSecret

PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0, 30.0)
"""Seconds before each further attempt, two minutes in all: a network policy, the rights of a new
service account or the API server itself may take a moment."""

_ATTEMPTS: Final = 5
"""Times that a Secret is read again because somebody else wrote it meanwhile."""
_CONFLICT: Final = 409
_ALPHABET: Final = string.ascii_letters + string.digits
_LENGTH: Final = 32
"""Characters of a password: 190 bits."""

log = logging.getLogger(__name__)


class SecretApi(Protocol):
    """The requests to the API server that this module needs; every method raises ApiError."""

    async def find_secret(self, namespace: str, name: str) -> Body | None:
        """Return a Secret, or None if it does not exist."""

    async def create_secret(self, body: Body) -> None:
        """Create a Secret; ApiError's status is 409 if the name is taken."""

    async def patch_secret(self, namespace: str, name: str, patch: Body) -> None:
        """Merge into a Secret; ApiError's status is 409 if it is of another version."""


def password() -> str:
    """Return a new password of letters and digits, which no URL and no file has to escape."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


async def keep_patiently(
    api: SecretApi,
    plan: Plan,
    draw: Callable[[], str] = password,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Do as `keep` does; try again for two minutes while the API server does not permit it.

    Raises RefusedError at once, and the last ApiError.
    """
    for seconds in PAUSES:
        try:
            return await keep(api, plan, draw)
        except ApiError as error:
            log.warning("%s; trying again in %.0f s", error, seconds)
        await pause(seconds)
    return await keep(api, plan, draw)


async def keep(api: SecretApi, plan: Plan, draw: Callable[[], str] = password) -> None:
    """Create what is missing of the plan; raises ApiError, and RefusedError for a foreign Secret.

    What it has done until then stays, and is found by the next run.
    """
    known: dict[str, Values] = {}
    for wanted in plan.secrets:
        values = await _keep_one(api, plan, wanted, known, draw)
        if wanted.namespace == plan.namespace:
            known[wanted.name] = values


async def _keep_one(
    api: SecretApi,
    plan: Plan,
    wanted: WantedSecret,
    known: Mapping[str, Values],
    draw: Callable[[], str],
) -> Values:
    for _ in range(_ATTEMPTS):
        live = await api.find_secret(wanted.namespace, wanted.name)
        planned = change(plan, wanted, live, known, draw)
        try:
            await _write(api, wanted, planned, is_new=live is None)
        except ApiError as error:
            if error.status != _CONFLICT:
                raise
        else:
            return planned.values
    text = f"Secret {wanted.name} in namespace {wanted.namespace} changes all the time"
    raise ApiError(_CONFLICT, "Conflict", text)


async def _write(api: SecretApi, wanted: WantedSecret, planned: Change, *, is_new: bool) -> None:
    where = {"secret": wanted.name, "namespace": wanted.namespace}
    if planned.body is None:
        log.info("Secret %s has all its keys", wanted.name, extra=where)
        return
    if is_new:
        await api.create_secret(planned.body)
    else:
        await api.patch_secret(wanted.namespace, wanted.name, planned.body)
    keys = ", ".join(planned.added) or "only annotations"
    how = "created" if is_new else "changed"
    log.info("Secret %s %s: %s", wanted.name, how, keys, extra=where)
