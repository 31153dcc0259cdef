"""Building images with what the machine has: docker, podman or buildah."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster_command import attempt, run
from cluster_home import UnavailableError


@dataclass(frozen=True, slots=True)
class Builder:
    """One of the three tools; they take the same arguments but for a few."""

    tool: str

    def build(
        self,
        image: str,
        dockerfile: Path,
        context: Path,
        *,
        arguments: Mapping[str, str],
        secrets: Mapping[str, Path],
    ) -> None:
        """Build an image; it sees the host's network, and a secret only while it is built."""
        command = {
            "docker": ["docker", "build"],
            "podman": ["podman", "build", "--layers"],
            # chroot: needs no more rights than the root of a container has
            "buildah": ["buildah", "build", "--layers", "--isolation=chroot"],
        }[self.tool]
        command += ["--network=host", f"--tag={image}", f"--file={dockerfile}"]
        command += [f"--build-arg={name}={value}" for name, value in arguments.items()]
        command += [f"--secret=id={name},src={path}" for name, path in secrets.items()]
        run(*command, str(context), environ={"DOCKER_BUILDKIT": "1"})

    def save(self, image: str, archive: Path) -> None:
        """Write an image to an archive, whole or not at all."""
        unfinished = archive.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        if self.tool == "buildah":
            run("buildah", "push", "--quiet", image, f"docker-archive:{unfinished}:{image}")
        else:
            run(self.tool, "save", f"--output={unfinished}", image)
        unfinished.rename(archive)

    def has(self, image: str) -> bool:
        """Whether the image is there."""
        return attempt(self.tool, "inspect", "--type=image", image).returncode == 0

    def pull(self, image: str) -> bool:
        """Fetch the image; False where no registry answers."""
        return attempt(self.tool, "pull", image).returncode == 0

    def forget(self, name: str, but: str) -> None:
        """Remove the images of this name under all tags but one."""
        repository = "{{.Name}}" if self.tool == "buildah" else "{{.Repository}}"
        listed = run(self.tool, "images", f"--format={repository}:{{{{.Tag}}}}")
        old = [one for one in listed.split() if one.startswith(f"{name}:") and one != but]
        if old:
            attempt(self.tool, "rmi", *old)


def builder() -> Builder:
    """Return the first of the three tools that works here, or raise UnavailableError."""
    if shutil.which("docker") and docker_answers():
        return Builder("docker")
    for tool in ("podman", "buildah"):
        if shutil.which(tool):
            return Builder(tool)
    raise UnavailableError(
        "nothing here builds images: it takes docker, podman or `apt-get install buildah`"
    )


def docker_answers() -> bool:
    """Whether there is a Docker engine, not only its client."""
    try:
        return attempt("docker", "info", timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
