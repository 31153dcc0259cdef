"""The image that the programs' images start from, where no registry can be asked for one."""

import platform
import shutil
import tempfile
from pathlib import Path

from build import Builder, default_base
from cluster_command import run
from cluster_home import UnavailableError

PUBLIC = default_base()
_PACKAGES = "ca-certificates,python3,python3-venv"
_NOT_NEEDED = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man",
               "usr/share/locale", "usr/share/info")  # fmt: skip


def base_image(builder: Builder) -> str:
    """Return a base that is there: the public one, else one of Debian's packages."""
    if builder.has(PUBLIC) or builder.pull(PUBLIC):
        return PUBLIC
    release = platform.freedesktop_os_release()
    image = f"localhost/sensorpipe-base:{release.get('VERSION_CODENAME', 'none')}"
    if not builder.has(image):
        _from_packages(builder, image, release.get("VERSION_CODENAME", ""))
    return image


def _from_packages(builder: Builder, image: str, release: str) -> None:
    if shutil.which("debootstrap") is None:
        raise UnavailableError(
            f"no registry gives {PUBLIC}; `apt-get install debootstrap` lets the tests make "
            "a base of Debian's packages"
        )
    with tempfile.TemporaryDirectory(prefix="sensorpipe-base-") as name:
        folder = Path(name)
        root = folder / "root"
        command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}"]
        run(*command, release, str(root), _mirror())
        for part in _NOT_NEEDED:
            shutil.rmtree(root / part, ignore_errors=True)
        run("tar", f"--directory={root}", "--create", f"--file={folder}/root.tar", ".")
        (folder / "Dockerfile").write_text("FROM scratch\nADD root.tar /\n")
        shutil.rmtree(root)
        builder.build(image, folder / "Dockerfile", folder, arguments={}, secrets={})


def _mirror() -> str:
    """Return where this host gets its packages from."""
    listed = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")
    return next(one for one in listed.split() if "security" not in one)
