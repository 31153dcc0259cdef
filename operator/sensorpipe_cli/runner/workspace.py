"""The folder of a run: logs, Sensor files for the generators, and MongoDB's data."""

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from sensorpipe_cli.runner.embedded import NotEmbeddedError


class Workspace:
    """The folder given by --data, or a temporary one that is removed at the end unless kept."""

    def __init__(self, data: Path | None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sensorpipe-")) if data is None else data
        self.kept = data is not None

    def __enter__(self) -> Self:
        for folder in (self.logs, self.sensors):
            folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        expected = error is None or isinstance(error, NotEmbeddedError)
        if expected and not self.kept:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def logs(self) -> Path:
        """The folder of the processes' log files."""
        return self.folder / "logs"

    @property
    def sensors(self) -> Path:
        """The folder of the generators' Sensor files."""
        return self.folder / "sensors"

    @property
    def feeds(self) -> Path:
        """The folder of the compactor's Feed files."""
        return self.folder / "feeds"

    def keep(self) -> None:
        """Do not remove the folder at the end."""
        self.kept = True
