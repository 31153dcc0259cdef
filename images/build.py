"""Builds the programs' images with docker, podman or buildah: `make images`.

Needs Python 3.11 or newer and no packages.
"""

import argparse
import configparser
import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

ROOT: Final = Path(__file__).parent.parent
DOCKERFILE: Final = ROOT / "images/Dockerfile"

LABEL: Final = "dev.sensorpipe.layer"
"""Label of each layer that images/Dockerfile makes: the program's name, or `shared`."""

_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_TOOLS: Final = {
    "docker": ("docker", "build"),
    "podman": ("podman", "build", "--layers"),
    # chroot: needs no more rights than root has in a container
    "buildah": ("buildah", "build", "--layers", "--isolation=chroot"),
}
_PROBE: Final = "localhost/sensorpipe-probe:none"
_PIP_SETTINGS: Final = (
    "index-url",
    "extra-index-url",
    "trusted-host",
    "proxy",
    "timeout",
    "retries",
)
_AUTHORITIES: Final = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
_ID_CHARACTERS: Final = 11
"""Number of characters of an image's id that buildah and podman print at least."""


class CommandError(RuntimeError):
    """A command failed; the message has its status and the end of its output."""


class NoBuilderError(RuntimeError):
    """No tool on this machine can build images; the message says why."""


@dataclass(frozen=True, slots=True)
class Builder:
    """One of the tools that build images; their arguments are nearly the same."""

    tool: str

    def build(
        self,
        image: str,
        dockerfile: Path,
        context: Path,
        *,
        arguments: Mapping[str, str],
        secrets: Mapping[str, Path],
        labels: Mapping[str, str] = _NONE,
    ) -> frozenset[str]:
        """Build an image in the host's network; return the ids of the layers, as printed.

        `secrets` are files that are readable during the build only. Raises CommandError.
        """
        command = [*_TOOLS[self.tool], "--network=host", f"--tag={image}", f"--file={dockerfile}"]
        command += [f"--build-arg={name}={value}" for name, value in arguments.items()]
        command += [f"--secret=id={name},src={path}" for name, path in secrets.items()]
        command += [f"--label={name}={value}" for name, value in labels.items()]
        done = _run(*command, str(context), environ={"DOCKER_BUILDKIT": "1"})
        printed = re.findall(r"^--> (?:Using cache )?([0-9a-f]+)$", done, re.MULTILINE)
        return frozenset(identity[:_ID_CHARACTERS] for identity in printed)

    def prune(self, label: str, used: Collection[str]) -> None:
        """Remove untagged layers whose LABEL is `label`, other than those `used` by a build.

        docker limits its cache itself.
        """
        if self.tool == "docker":
            return
        form = f"--format={{{{.ID}}}} {self._repository}"
        listed = _run(
            self.tool, "images", "--all", "--no-trunc", f"--filter=label={LABEL}={label}", form
        )
        rows = (line.split() for line in listed.splitlines() if line.strip())
        untagged = [row[0].removeprefix("sha256:") for row in rows if row[1:] in ([], ["<none>"])]
        if stale := [layer for layer in untagged if layer[:_ID_CHARACTERS] not in used]:
            _attempt(self.tool, "rmi", *stale)

    def save(self, image: str, archive: Path) -> None:
        """Write an image to a docker archive, whole or not at all."""
        unfinished = archive.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        if self.tool == "buildah":
            _run("buildah", "push", "--quiet", image, f"docker-archive:{unfinished}:{image}")
        else:
            _run(self.tool, "save", f"--output={unfinished}", image)
        unfinished.rename(archive)

    def has(self, image: str) -> bool:
        """Whether the image is in the tool's local storage."""
        return _attempt(self.tool, "inspect", "--type=image", image).returncode == 0

    def pull(self, image: str) -> bool:
        """Pull an image; return whether that succeeded."""
        return _attempt(self.tool, "pull", image).returncode == 0

    def remove_other_tags(self, name: str, keep: str) -> None:
        """Remove the images of this name, except the tag `keep`."""
        listed = _run(self.tool, "images", f"--format={self._repository}:{{{{.Tag}}}}")
        old = [one for one in listed.split() if one.startswith(f"{name}:") and one != keep]
        if old:
            _attempt(self.tool, "rmi", *old)

    def why_not(self) -> str | None:
        """Return why the tool cannot build even the smallest image; None if it can."""
        with tempfile.TemporaryDirectory(prefix="sensorpipe-probe-") as name:
            dockerfile = Path(name) / "Dockerfile"
            dockerfile.write_text("FROM scratch\nCOPY Dockerfile /\n")
            try:
                self.build(_PROBE, dockerfile, Path(name), arguments={}, secrets={})
            except CommandError as error:
                return str(error)
        _attempt(self.tool, "rmi", _PROBE)
        return None

    @property
    def _repository(self) -> str:
        return "{{.Name}}" if self.tool == "buildah" else "{{.Repository}}"


def main() -> None:
    """Build the images named on the command line, and print their names."""
    options = _options()
    folder: Path | None = options.archives
    try:
        tool = builder()
        for app in options.apps or apps():
            image = options.name.format(app=app)
            archive = None if folder is None else folder / f"{app}.tar"
            build_image(tool, app, image, base=options.base_image, archive=archive)
            print(image if archive is None else f"{image}\t{archive}")  # noqa: T201
    except (CommandError, NoBuilderError) as error:
        sys.exit(str(error))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make images", description="Build the programs' images.")
    known = apps()
    parser.add_argument(
        "apps", metavar="APP", nargs="*", help=f"{', '.join(known)}; without any, all of them"
    )
    parser.add_argument(
        "--name",
        default=f"sensorpipe-{{app}}:{_project()['version']}",
        help="name of each image (default: %(default)s)",
    )
    parser.add_argument(
        "--base-image",
        default=os.environ.get("SENSORPIPE_BASE_IMAGE", ""),
        help="base with Python >= 3.11 and venv (default: $SENSORPIPE_BASE_IMAGE, or else "
        "that of images/Dockerfile)",
    )
    parser.add_argument("--archives", type=Path, metavar="FOLDER", help="also write APP.tar there")
    options = parser.parse_args()
    if unknown := sorted(set(options.apps) - set(known)):
        parser.error(f"no program {', '.join(unknown)}; there are {', '.join(known)}")
    return options


def apps() -> list[str]:
    """Return the names of the programs that have an image."""
    commands = (name.partition("sensorpipe-")[2] for name in _project()["scripts"])
    return sorted(filter(None, commands))


def build_image(tool: Builder, app: str, image: str, *, base: str, archive: Path | None) -> None:
    """Build a program's image on `base`, if given, and write it to `archive`, if given.

    Layers of earlier builds of it that are no longer used are removed. One build runs at a time.
    """
    arguments = {"APP": app, **({"BASE_IMAGE": base} if base else {})}
    with _only_build(), tempfile.TemporaryDirectory(prefix="sensorpipe-image-") as folder:
        secrets = host_secrets(Path(folder))
        said = labels(app, base or default_base())
        used = tool.build(
            image, DOCKERFILE, ROOT, arguments=arguments, secrets=secrets, labels=said
        )
        if archive is not None:
            archive.parent.mkdir(parents=True, exist_ok=True)
            tool.save(image, archive)
        for label in (app, "shared"):
            tool.prune(label, used)


def labels(app: str, base: str) -> dict[str, str]:
    """Return the labels of OCI for a program's image; what is not known has none.

    The time is the commit's, or that of SOURCE_DATE_EPOCH, so that a build can be repeated.
    """
    project, (name, _, digest) = _project(), base.partition("@")
    changed = "-dirty" if _git("status", "--porcelain") else ""
    revision = _git("rev-parse", "HEAD")
    seconds = os.environ.get("SOURCE_DATE_EPOCH") or _git("log", "-1", "--format=%ct")
    created = datetime.fromtimestamp(int(seconds), UTC) if seconds else None
    found = {
        "title": f"sensorpipe-{app}",
        "description": f"The {app} of sensorpipe. {project['description']}.",
        "version": project["version"],
        "licenses": project["license"],
        "revision": f"{revision}{changed}" if revision else "",
        "created": created.strftime("%Y-%m-%dT%H:%M:%SZ") if created else "",
        "base.name": name,
        "base.digest": digest,
    }
    return {f"org.opencontainers.image.{key}": value for key, value in found.items() if value}


def default_base() -> str:
    """Return the base image that images/Dockerfile names."""
    (line,) = re.findall(r"^ARG BASE_IMAGE=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE)
    return str(line)


def builder() -> Builder:
    """Return the first tool that can build images here; raise NoBuilderError."""
    failed = []
    for tool in _TOOLS:
        if shutil.which(tool) is None or (tool == "docker" and not docker_answers()):
            continue
        found = Builder(tool)
        if (reason := found.why_not()) is None:
            return found
        failed.append(f"; {reason}")
    raise NoBuilderError(
        "no tool here can build images: install docker, podman or buildah "
        f"(on Debian: apt-get install buildah){''.join(failed)}"
    )


def docker_answers() -> bool:
    """Whether there is a Docker engine, and not only its client."""
    try:
        return _attempt("docker", "info", timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def host_secrets(folder: Path) -> dict[str, Path]:
    """Return the files that images/Dockerfile takes as secrets, by their ids.

    They are this host's pip settings, written below `folder`, and its certificate authorities.
    """
    found = {"pip": folder / "pip.conf"}
    found["pip"].write_text(pip_settings(os.environ))
    candidates = (os.environ.get("PIP_CERT"), os.environ.get("SSL_CERT_FILE"), *_AUTHORITIES)
    for path in candidates:
        if path and Path(path).is_file():
            return found | {"ca": Path(path)}
    return found


def pip_settings(environ: Mapping[str, str]) -> str:
    """Return pip's settings of this host as a pip.conf, without paths of this host."""
    files = configparser.RawConfigParser()
    home = Path(environ.get("HOME", "/"))
    configured = Path(environ.get("XDG_CONFIG_HOME", home / ".config"))
    files.read([Path("/etc/pip.conf"), home / ".pip/pip.conf", configured / "pip/pip.conf"])
    files.read(environ.get("PIP_CONFIG_FILE", []))
    settings = {
        key: value
        for section in ("global", "install")
        if files.has_section(section)
        for key, value in files.items(section)
    }
    index = environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL")
    if index:
        settings.setdefault("index-url", index)
    for key in _PIP_SETTINGS:
        if value := environ.get(f"PIP_{key.upper().replace('-', '_')}"):
            settings[key] = value
    lines = [f"{key} = {settings[key]}" for key in _PIP_SETTINGS if settings.get(key)]
    return "\n".join(["[global]", *lines, ""])


def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


def _git(*arguments: str) -> str:
    """Return what git says of this working tree; nothing where it is none."""
    try:
        done = _attempt("git", "-C", str(ROOT), *arguments)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


@contextmanager
def _only_build() -> Iterator[None]:
    """Wait for other builds of this user, whose layers could be pruned before they are used."""
    path = Path(tempfile.gettempdir()) / f"sensorpipe-images-{os.getuid()}.lock"
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _attempt(
    *command: str, environ: Mapping[str, str] | None = None, timeout: float | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  the tools above, by their names
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, **(environ or {})},
        timeout=timeout,
    )


def _run(*command: str, environ: Mapping[str, str] | None = None) -> str:
    """Return what a command printed; raise CommandError if it fails."""
    done = _attempt(*command, environ=environ)
    if done.returncode:
        output = (done.stdout + done.stderr).strip()[-4000:]
        raise CommandError(f"{' '.join(command[:2])} failed with {done.returncode}: {output}")
    return done.stdout


if __name__ == "__main__":
    main()
