"""The commands of README and quickstart, typed as they are shown, print what is shown."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from sensorpipe_cli.runner.ports import free_port
from support.docs_pages import TYPED, Shown, commands, shape, shown
from support.services import ROOT

_windows = re.compile(r" (\d+) windows of 3 facilities, lost 0").search


class Demo(NamedTuple):
    """The demo, running, and what it has printed so far."""

    port: int
    lines: list[str]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """What `make up ARGS=--no-tty` starts, at a port that is free, with windows stored."""
    port = free_port()
    argv = [sys.executable, "-m", "sensorpipe_cli", "up", "--no-tty", "--port", str(port)]
    folder = tmp_path_factory.mktemp("up")
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(folder)}
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if (found := _windows(line)) and int(found[1]) >= 9:  # some have a next page
                break
        yield Demo(port, lines)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 0, "".join(lines) + rest


def is_shown_by(example: Shown, output: str) -> None:
    """Check that each line shown is among those printed, but for what differs."""
    printed = {shape(line) for line in output.splitlines()}
    for line in example.output:
        if line and line != "…" and not line.startswith("Setting up"):
            assert shape(line) in printed, (line, output)


def name(page: Path) -> str:
    return page.name


@pytest.mark.parametrize("page", TYPED, ids=name)
def test_make_up_prints_what_is_shown(demo, page):
    (example,) = (one for one in shown(page) if one.command.startswith("make up"))
    is_shown_by(example, "".join(demo.lines))


@pytest.mark.parametrize("page", TYPED, ids=name)
def test_what_is_asked_meanwhile_is_answered_as_shown(demo, page):
    if shutil.which("curl") is None:
        pytest.skip("no curl here; `apt-get install curl` brings it")
    examples = [one for one in shown(page) if not one.command.startswith("make ")]
    assert examples
    for example in examples:
        command = example.command.replace(":8080", f":{demo.port}").replace(
            ".venv/bin/sensorpipe verify",
            f"{sys.executable} -m sensorpipe_cli verify --url http://127.0.0.1:{demo.port}",
        )
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        is_shown_by(example, done.stdout)


@pytest.mark.parametrize("page", TYPED, ids=name)
def test_make_knows_what_is_typed(page):
    typed = [one for one in commands(page) if re.match(r"([A-Z_]+=\w+ )*make ", one)]
    assert typed
    for command in typed:
        done = subprocess.run(
            ["sh", "-c", command.replace("make ", "make --dry-run ", 1)],
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr


PYTHON = [
    (page, number, code)
    for page in (ROOT / "README.md", ROOT / "docs/client.md")
    for number, code in enumerate(
        re.findall(
            r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        ),
        1,
    )
]


@pytest.mark.parametrize(
    ("page", "code"),
    [pytest.param(page, code, id=f"{page.name} {number}") for page, number, code in PYTHON],
)
def test_the_python_examples_run_as_they_are_shown(demo, page, code, tmp_path):
    assert "8080" in code or "Client()" in code, page
    here = f"http://127.0.0.1:{demo.port}"
    code = code.replace("http://127.0.0.1:8080", here).replace("Client()", f'Client("{here}")')
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    # the demo sends nothing that is refused
    printed = "True None" if "dead_letters" in code else "facility_1"
    assert printed in done.stdout or "temperature" in code


def test_the_readme_s_pandas_example_has_three_lines():
    (code,) = [code for page, _, code in PYTHON if "read_csv" in code and page.name == "README.md"]
    assert len([line for line in code.splitlines() if line]) == 3
