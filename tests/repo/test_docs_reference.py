"""The generated parts of the documentation are what the code says now."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from support.services import ROOT


def script() -> ModuleType:
    """Return docs/reference.py as a module."""
    spec = importlib.util.spec_from_file_location("docs_reference", ROOT / "docs/reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def reference(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(root / "docs/reference.py"), *options]
    return subprocess.run(argv, check=False, capture_output=True, text=True)


def test_the_references_are_fresh():
    done = reference(ROOT, "--check")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ({"minimum": 0, "maximum": 9007199254740991}, "0 to 9,007,199,254,740,991"),
        ({"minimum": -1.0e12, "maximum": 1.0e12}, "-1,000,000,000,000 to 1,000,000,000,000"),
        ({"minimum": 0.25, "maximum": 1.5}, "0.25 to 1.5"),
        ({"minimum": 0}, "at least 0"),
        ({"maximum": 20}, "at most 20"),
        ({"enum": ["a", "b"]}, "`a`, `b`"),
        ({}, ""),
    ],
)
def test_bounds_have_all_their_digits(field, text):
    assert script().bounds(field) == text


def test_a_stale_reference_is_named_and_mended(tmp_path):
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    for name in ("manifests", "charts"):
        (tmp_path / name).symlink_to(ROOT / name)
    page = tmp_path / "docs/settings.md"
    fresh = page.read_text()
    page.write_text(fresh.replace("| `10s` |", "| `11s` |"))
    done = reference(tmp_path, "--check")
    assert done.returncode == 1
    assert "stale: docs/settings.md; `make reference` brings them up to date" in done.stderr
    assert reference(tmp_path).returncode == 0
    assert page.read_text() == fresh
