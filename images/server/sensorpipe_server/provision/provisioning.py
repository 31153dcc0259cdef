"""Provisions a mongod, and again after a restart or an election."""

import asyncio
import logging
from typing import Final

from pymongo.errors import PyMongoError
from sensorpipe_runtime.backoff import Backoff
from sensorpipe_runtime.throttled_log import ThrottledLogger

from sensorpipe_server.provision import mongod
from sensorpipe_server.provision.mongod import SetupError
from sensorpipe_server.provision.settings import Settings

_POLL_SECONDS: Final = 1.0
_PRIMARY_SECONDS: Final = 30.0

log = logging.getLogger(__name__)


class Provisioning:
    """Provisions mongod again whenever it was not primary: its data may be new or restored."""

    def __init__(self, settings: Settings) -> None:
        self.ready = False
        """Whether mongod is provisioned and primary."""
        self._settings = settings
        self._throttled_log = ThrottledLogger(log)

    async def run(self) -> None:
        """Provision and watch until cancelled."""
        backoff = Backoff(longest=5.0)
        while True:
            try:
                await self._provision()
                backoff.reset()
                await self._watch()
            except SetupError as error:
                self._throttled_log.warning("MongoDB cannot be provisioned", error=str(error))
            except PyMongoError as error:
                self._throttled_log.warning(
                    "MongoDB is unavailable; trying again", error=_without_topology(error)
                )
            finally:
                self.ready = False
            await asyncio.sleep(backoff.next())

    async def _provision(self) -> None:
        settings = self._settings
        async with (
            mongod.connect(settings.port) as anonymous,
            mongod.connect(settings.port, mongod.ADMIN, settings.admin_password) as admin,
        ):
            has_admin = await mongod.is_authenticated(admin)
            client = admin if has_admin else anonymous
            if await mongod.initiate(client, settings.replica_set, settings.member):
                log.info("replica set initiated", extra={"member": settings.member})
            elif has_admin and await mongod.rename_member(admin, settings.member):
                log.info("replica set reconfigured", extra={"member": settings.member})
            await _wait_for_primary(anonymous)
            if not has_admin:
                await mongod.create_admin(anonymous, settings.admin_password)
                log.info("administrator created", extra={"user": mongod.ADMIN})
            await mongod.ensure_user(admin, settings)
            await mongod.refuse_anonymous(anonymous)

    async def _watch(self) -> None:
        """Return, or raise PyMongoError, once mongod is no longer primary."""
        async with mongod.connect(self._settings.port) as anonymous:
            while await mongod.is_primary(anonymous):
                if not self.ready:
                    self._throttled_log.resolved("MongoDB is available again")
                    fields = {"user": self._settings.username, "database": self._settings.database}
                    log.info("MongoDB provisioned", extra=fields)
                self.ready = True
                await asyncio.sleep(_POLL_SECONDS)


async def _wait_for_primary(client: mongod.Client) -> None:
    try:
        async with asyncio.timeout(_PRIMARY_SECONDS):
            while not await mongod.is_primary(client):  # noqa: ASYNC110  another process decides
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError as error:
        raise SetupError("mongod does not become primary; see its log") from error


def _without_topology(error: PyMongoError) -> str:
    """Return an error without the description of the whole topology."""
    return str(error).partition(", full error:")[0].partition(" (configured timeouts:")[0]
