"""The programs' images, built from images/Dockerfile and kept until a source changes."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from build import ROOT, Builder, NoBuilderError, build_image
from build import builder as find_builder
from cluster_base import base_image
from cluster_home import UnavailableError, home
from cluster_lock import locked

_SHARED = ("pyproject.toml", "uv.lock", "schema", "images/Dockerfile", "images/sbom.py")


@dataclass(frozen=True, slots=True)
class Image:
    """A built image: its name in a cluster, and the archive to load there."""

    name: str
    archive: Path


def builder() -> Builder:
    """Return the first tool that can build images here, or raise UnavailableError."""
    try:
        return find_builder()
    except NoBuilderError as error:
        raise UnavailableError(str(error)) from error


def build(app: str) -> Image:
    """Return the image of a program, built if a source has changed; may raise UnavailableError."""
    chosen = os.environ.get("SENSORPIPE_BASE_IMAGE", "")
    name = f"localhost/sensorpipe-{app}"
    tag = _identity(app, chosen)
    folder = home() / "images"
    folder.mkdir(exist_ok=True)
    image = Image(f"{name}:{tag}", folder / f"{app}-{tag}.tar")
    with locked(home() / "images.lock"):
        if not image.archive.exists():
            tool = builder()
            base = chosen or base_image(tool)
            build_image(tool, app, image.name, base=base, archive=image.archive)
            tool.remove_other_tags(name, keep=image.name)
            for old in folder.glob(f"{app}-*.tar"):
                if old != image.archive:
                    old.unlink()
    return image


def _identity(app: str, base: str) -> str:
    """Return a short hash of all that makes a difference: no program imports another."""
    identity = hashlib.sha256(base.encode())
    for source in (*_SHARED, app if app == "operator" else f"images/{app}"):
        path = ROOT / source
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                identity.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return identity.hexdigest()[:12]
