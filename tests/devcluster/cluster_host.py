"""What a build inside a container needs to know of this host: its package index and authorities."""

import configparser
import os
from collections.abc import Mapping
from pathlib import Path

_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
_AUTHORITIES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


def secrets(folder: Path) -> dict[str, Path]:
    """Write the host's settings below a folder; return the files by their names in Dockerfile."""
    found = {"pip": folder / "pip.conf"}
    found["pip"].write_text(pip_settings(os.environ))
    candidates = (os.environ.get("PIP_CERT"), os.environ.get("SSL_CERT_FILE"), *_AUTHORITIES)
    for path in candidates:
        if path and Path(path).is_file():
            return found | {"ca": Path(path)}
    return found


def pip_settings(environ: Mapping[str, str]) -> str:
    """Return what pip would use here, as a pip.conf without paths of this host."""
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
    for key in _SETTINGS:
        if value := environ.get(f"PIP_{key.upper().replace('-', '_')}"):
            settings[key] = value
    lines = [f"{key} = {settings[key]}" for key in _SETTINGS if settings.get(key)]
    return "\n".join(["[global]", *lines, ""])
