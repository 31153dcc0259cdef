"""Tells what a request may read, by the access file and the keys of its issuers."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from sensorpipe_runtime.throttled_log import ThrottledLogger

from sensorpipe_server.access import tokens
from sensorpipe_server.access.files import AccessFiles, read_access
from sensorpipe_server.access.grants import Grants, Permissions
from sensorpipe_server.access.rules import AccessError, Issuer
from sensorpipe_server.access.tokens import RefusedError
from sensorpipe_server.access.verified import Known, VerifiedTokens
from sensorpipe_server.api.access.discovery import fetch_keys
from sensorpipe_server.api.access.sources import Fetch, FetchedKeys, FileKeys, Source

CHECK_SECONDS: Final = 5.0
"""Seconds between two looks for changed files and old keys."""

log: Final = logging.getLogger(__name__)


class Access:
    """Answers who may read what; a changed access file is taken once it is right.

    `clock` is in unix seconds, `monotonic` never goes back.
    """

    def __init__(
        self,
        path: Path,
        *,
        fetch: Fetch = fetch_keys,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the access file, or raise AccessError."""
        self.on_change: list[Callable[[], object]] = []
        """What is called after another access file, or other keys of a file, are taken."""
        self._path = path
        self._fetch = fetch
        self._clock = clock
        self._monotonic = monotonic
        self._problem = ThrottledLogger(log)
        self._is_wrong = False
        """Whether the file has changed and is not usable."""
        self._sources: dict[str, Source] = {}
        self._take(read_access(path))

    async def permissions(self, authorization: Sequence[str]) -> Permissions:
        """Return what a request with these headers Authorization may read.

        Raises RefusedError for a token that is not accepted, and NoKeysError while the keys of
        its issuer are unknown.
        """
        token = tokens.bearer(authorization)
        if token is None:
            return self._grants.permissions(None)
        # what is taken meanwhile, while keys are fetched, is for later requests
        rules, grants, verified = self._files.rules, self._grants, self._verified
        known = verified.find(token)
        claimed = known.claimed if known else tokens.peek(token)
        issuer = rules.issuer(claimed.issuer)
        if issuer is None:
            raise RefusedError("issuer", "The token's issuer is not one of this API")
        keys = await self._sources[issuer.issuer].keys_for(claimed)
        if known and known.is_of(keys):
            tokens.check_times(known.accepted.times, self._clock())
            return known.permissions
        accepted = tokens.accept(token, claimed, issuer, keys)
        tokens.check_times(accepted.times, self._clock())
        known = Known(claimed, accepted, grants.permissions(accepted.principal))
        verified.keep(token, known)
        return known.permissions

    async def run(self) -> None:
        """Look after files and keys until cancelled."""
        while True:
            self.check_files()
            # together: an issuer that does not answer does not delay the others
            await asyncio.gather(*(each.refresh() for each in self._sources.values()))
            await asyncio.sleep(CHECK_SECONDS)

    def check_files(self) -> None:
        """Take the files if they have changed; keep the old ones in use where they are wrong."""
        changed = [each for each in self._watched if each.has_changed()]
        if not changed and not self._is_wrong:
            return
        try:
            files = read_access(self._path)
        except AccessError as error:
            self._is_wrong = True
            self._problem.warning(
                "The changed access file is not usable; the old one stays in use",
                file=str(self._path),
                error=str(error)[:2000],
            )
            return
        self._is_wrong = False
        self._problem.reset()
        self._take(files)
        log.info("The changed access file is in use", extra={"file": str(self._path)})
        for call in self.on_change:
            call()

    def _take(self, files: AccessFiles) -> None:
        self._watched = files.watched
        self._files = files
        self._grants = Grants(files.rules)
        self._verified = VerifiedTokens()
        self._sources = {each.issuer: self._source(each) for each in files.rules.issuers}

    def _source(self, issuer: Issuer) -> Source:
        """Return where the keys of an issuer come from; fetched ones are kept."""
        found = self._files.keys.get(issuer.issuer)
        if found is not None:
            return FileKeys(found)
        known = self._sources.get(issuer.issuer)
        if isinstance(known, FetchedKeys) and known.issuer == issuer:
            return known
        return FetchedKeys(issuer, self._path.parent, self._fetch, self._monotonic)
