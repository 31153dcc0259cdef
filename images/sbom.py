"""Checks what is in an image, and the list of it: run by images/Dockerfile.

    python3 images/sbom.py /app

Every installed distribution must be in uv.lock in that version, and in the list `sbom.cdx.json`,
which has no others. None may be a service that `sensorpipe up` embeds. Needs Python 3.11 and no
packages.
"""

import json
import re
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
NAME: Final = "sbom.cdx.json"
"""The list's name, in the folder of the programs."""

Versions = set[tuple[str, str]]
"""Distributions, by name as in uv.lock and version."""


def main() -> None:
    """Check the folder that is named; exit with 1 and all problems."""
    folder = Path(sys.argv[1])
    found, listed = installed(folder), in_list(json.loads((folder / NAME).read_text()))
    if said := problems(found, listed, ROOT):
        sys.exit("\n".join(said))
    print(f"{len(found)} distributions, as in uv.lock and {NAME}")  # noqa: T201


def problems(found: Versions, listed: Versions, root: Path) -> list[str]:
    """Return what is wrong with what was found installed, and with the list of it."""
    locked = in_lock((root / "uv.lock").read_text())
    embedded = services((root / "pyproject.toml").read_text())
    said = [f"{name} {version}: not in uv.lock" for name, version in sorted(found - locked)]
    said += [f"{name} {version}: not in {NAME}" for name, version in sorted(found - listed)]
    said += [f"{name} {version}: not installed" for name, version in sorted(listed - found)]
    said += [
        f"{name} {version}: a service for one machine, which no image may hold"
        for name, version in sorted(found)
        if name in embedded
    ]
    return said if found else ["nothing is installed"]


def installed(folder: Path) -> Versions:
    """Return what is installed in a virtual environment."""
    sites = [str(site) for site in folder.glob("lib/python3*/site-packages")]
    return {(_normal(one.name), one.version) for one in distributions(path=sites)}


def in_list(document: dict[str, object]) -> Versions:
    """Return what a list in CycloneDX's form names: its parts, and what it is about."""
    metadata, components = document.get("metadata"), document.get("components")
    about = metadata.get("component") if isinstance(metadata, dict) else None
    parts = [*(components if isinstance(components, list) else []), about]
    return {
        (_normal(str(part["name"])), str(part.get("version")))
        for part in parts
        if isinstance(part, dict)
    }


def in_lock(text: str) -> Versions:
    """Return what uv.lock has."""
    packages = tomllib.loads(text)["package"]
    return {(_normal(one["name"]), str(one.get("version"))) for one in packages}


def services(text: str) -> set[str]:
    """Return the names of what only the extra `local` needs."""
    needed = tomllib.loads(text)["project"]["optional-dependencies"]["local"]
    names = {re.split(r"[^A-Za-z0-9._-]", one, maxsplit=1)[0] for one in needed}
    return {_normal(name) for name in names} - {"sensorpipe"}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main()
