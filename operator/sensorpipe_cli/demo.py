"""The Sensors of the demo, which `sensorpipe up` runs without FILES."""

from pathlib import Path


def folder() -> Path:
    """Return where they are: in the installed package, or else in the checkout it runs from."""
    package = Path(__file__).parent
    installed = package / "samples"
    return installed if installed.is_dir() else package.parent.parent / "manifests" / "samples"
