"""Building images with what the machine has: docker, podman or buildah."""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster_command import CommandError, attempt, run
from cluster_home import UnavailableError

_PROBE = "localhost/sensorpipe-probe:none"


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

    def why_not(self) -> str | None:
        """Return why it cannot build the least of images, or None: it may lack BuildKit, say."""
        with tempfile.TemporaryDirectory(prefix="sensorpipe-probe-") as name:
            dockerfile = Path(name) / "Dockerfile"
            dockerfile.write_text("FROM scratch\nCOPY Dockerfile /\n")
            try:
                self.build(_PROBE, dockerfile, Path(name), arguments={}, secrets={})
            except CommandError as error:
                return str(error)
        attempt(self.tool, "rmi", _PROBE)
        return None

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
    """Return the first of the three tools that can build here, or raise UnavailableError."""
    failed = []
    for tool in ("docker", "podman", "buildah"):
        if shutil.which(tool) is None or (tool == "docker" and not docker_answers()):
            continue
        found = Builder(tool)
        if (reason := found.why_not()) is None:
            return found
        failed.append(f"; {reason}")
    raise UnavailableError(
        "nothing here builds images: it takes docker, podman or `apt-get install buildah`"
        + "".join(failed)
    )


def docker_answers() -> bool:
    """Whether there is a Docker engine, not only its client."""
    try:
        return attempt("docker", "info", timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
