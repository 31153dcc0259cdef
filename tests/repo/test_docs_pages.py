"""What the documentation says exists: links, commands, tests, alerts; and the README is short."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from sensorpipe_schema.signal_spec import SIGNAL
from support.docs_pages import PAGES, TYPED, anchors, commands
from support.services import ROOT

README = ROOT / "README.md"
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
ALERTS = yaml.safe_load((ROOT / "charts/sensorpipe/files/alerts.yaml").read_text())


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_the_readme_can_be_skimmed():
    text = README.read_text(encoding="utf-8")
    assert len(text.split()) <= 900
    assert max(map(len, text.splitlines())) <= 400


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_and_its_anchor_resolve(page):
    prose = re.sub(r"```.*?```|`[^`\n]*`", "`", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_make_target_exists(page):
    targets = set(re.findall(r"(?m)^([a-z0-9-]+):", MAKEFILE)) | {"TARGET"}
    told = re.findall(r"(?:`|\$ |^)make ([a-z][a-z0-9-]*)", page.read_text(), re.MULTILINE)
    assert set(told) <= targets


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_test_that_is_named_exists(page):
    named = set(re.findall(r"`(test_\w+)`", page.read_text(encoding="utf-8")))
    if named:
        sources = "\n".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))
        assert named <= set(re.findall(r"def (test_\w+)", sources))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_path_that_is_named_exists(page):
    folders = "charts|manifests|schema|images|operator|tests|docs"
    named = re.findall(rf"(?<![\w/.-])(?:{folders})/[\w./-]*\w", page.read_text(encoding="utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", TYPED, ids=name)
def test_every_option_of_sensorpipe_exists(page):
    for line in commands(page):
        for words in re.findall(r"\bsensorpipe ((?:up|verify|check)\b[^|;&]*)", line):
            argv = [sys.executable, "-m", "sensorpipe_cli", *words.split(), "--help"]
            done = subprocess.run(argv, check=False, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr


def test_the_table_of_signals_has_all_of_them():
    text = (ROOT / "docs/sensors.md").read_text(encoding="utf-8")
    table = text.partition("## Signals")[2].partition("## Errors")[0]
    assert re.findall(r"(?m)^\| `(\w+)` \|", table) == list(SIGNAL.options)


def test_nothing_cites_a_document_that_is_not_here():
    files = [*ROOT.glob("*/*/*.py"), *ROOT.glob("*/*/*/*.py"), *ROOT.glob("*/*/*/*/*.py")]
    for file in files:
        if ROOT / ".venv" in file.parents or ROOT / ".cache" in file.parents:
            continue
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"\bDESIGN \d", text), file
        for cited in re.findall(r"\bdocs/[\w/]+\.md", text):
            assert (ROOT / cited).exists(), (file, cited)


def test_every_alert_has_a_runbook():
    alerts = {rule["alert"] for group in ALERTS["groups"] for rule in group["rules"]}
    pages = {page.stem for page in (ROOT / "docs/runbooks").glob("*.md")} - {"index"}
    assert pages == alerts
