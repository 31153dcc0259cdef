"""The documentation as tests read it: pages, the commands in them, and what these print."""

import re
from pathlib import Path
from typing import NamedTuple

from support.services import ROOT

PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")} - {ROOT / "CHANGELOG.md"})
TYPED = [ROOT / "README.md", ROOT / "docs/quickstart.md"]
"""The pages whose commands are typed by tests."""

_number = re.compile(r"-?\d[\d.,:]*(?:T[\d:.]+Z)?(?:e-?\d+)?")


class Shown(NamedTuple):
    """A command, and the lines that the page shows below it."""

    command: str
    output: list[str]


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def shown(page: Path) -> list[Shown]:
    """Return the commands of a page's console blocks."""
    found = []
    for block in blocks(page, "console"):
        for text in re.split(r"(?m)^\$ ", block)[1:]:
            command, *output = text.replace("\\\n", "").splitlines()
            found.append(Shown(command, output))
    return found


def commands(page: Path) -> list[str]:
    """Return all commands of a page, also those of which it shows no output."""
    typed = [one.command for one in shown(page)]
    for block in blocks(page, "sh"):
        typed += block.replace("\\\n", "").splitlines()
    return typed


def shape(line: str) -> str:
    """Return a line of output without what differs from run to run."""
    line = re.sub(r'"next": ?"\w+"', '"next": ""', line)
    line = re.sub(r'"complete": ?(true|false)', '"complete": ', line)
    line = re.sub(r"-[0-9a-f]{12}\b", "-RUN", line)
    return re.sub(r"─+", "─", re.sub(r"[ ]+", " ", _number.sub("0", line))).strip()


def slug(heading: str) -> str:
    """Return the anchor of a heading."""
    text = re.sub(r"\{.*?\}|`", "", heading).strip().lower()
    return re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", text))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"(?m)^#+ (.*)$", text)
    return {slug(one) for one in headings} | set(re.findall(r"\{#([\w-]+)\}", text))
