"""The plugin of `.ci/run` by which two runs share the tests: none may be lost."""

import os
import subprocess
import sys
from pathlib import Path

from support.services import ROOT

_TESTS = """\
import os, pytest

def test_passes(): ...

def test_passes_and_more():
    if "HERE" not in os.environ: pytest.skip("not here")

@pytest.mark.parametrize("value", ["a b", "é", "x::y"])
def test_passes_each(value): ...

def test_fails(): assert "HERE" in os.environ

@pytest.fixture
def ends_badly():
    yield
    assert "HERE" in os.environ

def test_whose_fixture_ends_badly(ends_badly): ...

@pytest.fixture
def absent():
    if "HERE" not in os.environ: pytest.skip("not here")

def test_whose_fixture_skips(absent): ...
"""


def run(folder: Path, *options: str, **environ: str) -> str:
    """Return what pytest says in the folder, with options of the plugin."""
    command = [sys.executable, "-m", "pytest", "-v", "-p", "passed_tests", *options]
    env = os.environ | {"PYTHONPATH": str(ROOT / ".ci")} | environ
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=240, check=False
    ).stdout


def test_what_did_not_pass_in_one_run_runs_in_the_other(tmp_path: Path):
    (tmp_path / "test_all.py").write_text(_TESTS, encoding="utf-8")
    first = run(tmp_path, "--note-passed=passed")
    assert "1 failed, 5 passed, 2 skipped, 1 error" in first
    second = run(tmp_path, "--but-passed=missing", "--but-passed=passed", HERE="1")
    assert "4 passed, 4 deselected" in second
    for name in ("passes_and_more", "fails", "whose_fixture_ends_badly", "whose_fixture_skips"):
        assert f"::test_{name} PASSED" in second
