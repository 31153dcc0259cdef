"""What the tests' clusters keep outside the repository stays bounded."""

import os
from pathlib import Path

import cluster_home
import pytest


def test_what_was_not_used_for_longest_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for age in range(5):
        folder = cluster_home.home() / f"programs-{age}"
        folder.mkdir()
        (folder / "node").touch()
        os.utime(folder, (1000 - age, 1000 - age))
    (cluster_home.home() / "images").mkdir()
    cluster_home.prune("programs-*", 3)
    left = sorted(path.name for path in cluster_home.home().iterdir())
    assert left == ["images", "programs-0", "programs-1", "programs-2"]
