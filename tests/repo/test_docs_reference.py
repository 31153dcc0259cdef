"""The generated parts of the documentation are what the code says now."""

import shutil
import subprocess
import sys
from pathlib import Path

from support.services import ROOT


def reference(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(root / "docs/reference.py"), *options]
    return subprocess.run(argv, check=False, capture_output=True, text=True)


def test_the_references_are_fresh():
    done = reference(ROOT, "--check")
    assert done.returncode == 0, done.stderr


def test_a_stale_reference_is_named_and_mended(tmp_path):
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    (tmp_path / "manifests").symlink_to(ROOT / "manifests")
    page = tmp_path / "docs/settings.md"
    fresh = page.read_text()
    page.write_text(fresh.replace("| `10s` |", "| `11s` |"))
    done = reference(tmp_path, "--check")
    assert done.returncode == 1
    assert "stale: docs/settings.md; `make reference` brings them up to date" in done.stderr
    assert reference(tmp_path).returncode == 0
    assert page.read_text() == fresh
