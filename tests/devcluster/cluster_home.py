"""Where the clusters of the tests keep what they need, outside the repository."""

import os
import shutil
from pathlib import Path


class UnavailableError(RuntimeError):
    """This machine cannot do it; the text says what is missing and what brings it."""


def home() -> Path:
    """Return the folder for programs, images and running clusters, made if need be."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(cache).resolve() / "sensorpipe-cluster"
    if folder.is_relative_to("/run") or folder.is_relative_to("/var"):
        raise UnavailableError(
            f"the cluster has a /run and a /var of its own, so {folder} cannot hold it; "
            "name another folder in XDG_CACHE_HOME"
        )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def prune(pattern: str, keep: int) -> None:
    """Remove from home what matches, files or folders, but for those last used."""
    found = sorted(home().glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found[keep:]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
