"""`python -m sensorpipe_operator.passwords`: the Job that makes a release's passwords once."""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from sensorpipe_runtime.service import configured
from sensorpipe_runtime.settings import Environment

from sensorpipe_operator.kube_api import ApiError, KubeApi
from sensorpipe_operator.passwords.content import RefusedError
from sensorpipe_operator.passwords.keeper import keep_patiently
from sensorpipe_operator.passwords.plan import Plan

_PROGRAM: Final = "sensorpipe-passwords"


@dataclass(frozen=True, slots=True)
class Settings:
    """The Job's settings, as the chart gives them."""

    plan: Plan
    """The Secrets that the release is to have, as JSON."""
    log_level: str
    """Least severe level that is logged."""

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings from variables `SENSORPIPE_*`; raises SettingsError with all faults."""
        env = Environment(environ)
        settings = cls(env.parse("SENSORPIPE_PASSWORDS", Plan.parse), env.log_level())
        env.check()
        return settings


def main() -> None:
    """Make what is missing; exit with status 1 and a text if that is not possible."""
    with configured(_PROGRAM, Settings.read) as settings:
        try:
            asyncio.run(run(settings))
        except (ApiError, RefusedError) as error:
            sys.exit(f"{_PROGRAM}: {error}")


async def run(settings: Settings) -> None:
    """Make what is missing; raises ApiError or RefusedError."""
    async with KubeApi.connect(1, may_write=lambda: True) as api:
        await keep_patiently(api, settings.plan)


if __name__ == "__main__":
    main()
