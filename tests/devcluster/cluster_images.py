"""The programs' images, built from images/Dockerfile and kept until a source changes."""

import hashlib
import os
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from cluster_base import base_image
from cluster_builder import Builder, builder
from cluster_home import home
from cluster_host import secrets
from cluster_lock import locked

ROOT = Path(__file__).parent.parent.parent
DOCKERFILE = ROOT / "images/Dockerfile"
_SHARED = ("pyproject.toml", "uv.lock", "schema", "images/Dockerfile")


@dataclass(frozen=True, slots=True)
class Image:
    """A built image: its name in a cluster, and the archive to load there."""

    name: str
    archive: Path


def apps() -> list[str]:
    """Return the programs that there are, by the names of their commands."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    commands = (name.partition("sensorpipe-")[2] for name in project["scripts"])
    return sorted(filter(None, commands))


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
            _build(tool, image, app, chosen or base_image(tool))
            tool.forget(name, but=image.name)
            for old in folder.glob(f"{app}-*.tar"):
                if old != image.archive:
                    old.unlink()
    return image


def _build(tool: Builder, image: Image, app: str, base: str) -> None:
    arguments = {"APP": app, "BASE_IMAGE": base}
    with tempfile.TemporaryDirectory(prefix="sensorpipe-image-") as folder:
        given = secrets(Path(folder))
        tool.build(image.name, DOCKERFILE, ROOT, arguments=arguments, secrets=given)
    tool.save(image.name, image.archive)


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
