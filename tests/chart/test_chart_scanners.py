"""Whatever kube-score and checkov find is answered in docs/security.md, and nothing else is."""

import re
from pathlib import Path

import pytest
from support.chart import scanners
from support.chart.scanners import Finding
from support.services import ROOT

PAGE = ROOT / "docs/security.md"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """What is installed, by profile."""
    return scanners.renderings(tmp_path_factory.mktemp("renderings"))


def answered(page: str) -> set[Finding]:
    """Return what the page answers: each check of a row for each object of it."""
    table = page.partition("\n## What scanners find\n")[2].partition("\n## ")[0]
    rows = re.findall(r"(?m)^\| (`[^|]+`) \| ([^|]+) \| [^|]{20,} \|$", table)
    # the head of the table and the line below it are no answers
    assert len(rows) == len(re.findall(r"(?m)^\|", table)) - 2
    listed = [
        (check, name)
        for checks, names in rows
        for check in re.findall(r"`([^`]+)`", checks)
        for name in names.split(", ")
    ]
    assert len(listed) == len(set(listed)), "answered twice"
    return set(listed)


def test_kube_score_finds_what_is_answered_and_nothing_else(files: list[Path]) -> None:
    listed = {found for found in answered(PAGE.read_text()) if not found[0].startswith("CKV")}
    assert scanners.by_kube_score(files) == listed


def test_checkov_finds_what_is_answered_and_nothing_else(files: list[Path]) -> None:
    listed = {found for found in answered(PAGE.read_text()) if found[0].startswith("CKV")}
    assert scanners.by_checkov(files) == listed


def test_the_scanners_find_what_is_wrong(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(
        "apiVersion: v1\n"
        "kind: Pod\n"
        "metadata: {name: demo-sensorpipe-wrong, namespace: sensors}\n"
        "spec:\n"
        "  containers:\n"
        "    - {name: a, image: 'a:1', securityContext: {privileged: true}}\n"
    )
    assert ("container-security-context-privileged", "wrong") in scanners.by_kube_score([wrong])
