"""What the folder tree promises: docs/design.md, Layout."""

import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from support.services import ROOT

PACKAGES = {
    "sensorpipe_runtime": ROOT / "schema/sensorpipe_runtime",
    "sensorpipe_schema": ROOT / "schema/sensorpipe_schema",
    "sensorpipe_cli": ROOT / "operator/sensorpipe_cli",
    "sensorpipe_operator": ROOT / "operator/sensorpipe_operator",
    "sensorpipe_generator": ROOT / "images/generator/sensorpipe_generator",
    "sensorpipe_compactor": ROOT / "images/compactor/sensorpipe_compactor",
    "sensorpipe_server": ROOT / "images/server/sensorpipe_server",
}

FOREIGN = {
    "sensorpipe_operator": ["mqtt5", "numpy", "aiokafka", "pymongo", "starlette", "typer", "rich"],
    "sensorpipe_generator": ["aiokafka", "pymongo", "starlette", "typer", "rich"],
    "sensorpipe_compactor": ["pymongo", "starlette", "uvicorn", "typer", "rich"],
    "sensorpipe_server": ["mqtt5", "numpy", "typer", "rich"],
}
"""What a program works without: its image does not hold it."""

WITHOUT = """\
import importlib, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if any(name == gone or name.startswith(gone + ".") for gone in sys.argv[2:]):
            raise ModuleNotFoundError(f"{name} is another program's")

sys.meta_path.insert(0, Absent())
importlib.import_module(sys.argv[1] + ".__main__")
"""


def written(package: str) -> list[Path]:
    """Return the files of a package that people wrote."""
    files = PACKAGES[package].rglob("*.py")
    return [file for file in files if not file.stem.endswith("_pb2")]


def lines(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())


def test_no_folder_shadows_the_standard_librarys_operator():
    assert not (ROOT / "operator/__init__.py").exists()
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_no_file_is_too_long_to_be_read():
    sizes = {file: lines(file) for package in PACKAGES for file in written(package)}
    assert {file: size for file, size in sizes.items() if size > 400} == {}
    assert statistics.median(sizes.values()) <= 150


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_is_typed_and_says_what_it_is(package):
    assert (PACKAGES[package] / "py.typed").exists()
    assert (PACKAGES[package] / "__init__.py").read_text(encoding="utf-8").startswith('"""')


def test_imports_keep_their_contracts():
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint, "--no-cache"], check=False, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("package", FOREIGN)
def test_a_program_starts_without_the_others_libraries(package):
    command = [sys.executable, "-c", WITHOUT, package, *FOREIGN[package]]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        (
            "cli.main",
            ["asyncio", "importlib.metadata", "msgspec", "rich", "sensorpipe_schema", "yaml"],
        ),
        ("cli.commands.check", ["asyncio", "msgspec", "rich", "sensorpipe_cli.client"]),
        ("cli.commands.verify", ["asyncio", "rich", "sensorpipe_cli.runner", "yaml"]),
        ("client", ["asyncio", "pandas", "polars", "sensorpipe_schema"]),
    ],
)
def test_a_command_starts_without_what_it_does_not_need(module, heavy):
    code = f"import sys, sensorpipe_{module}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
