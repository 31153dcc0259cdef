"""The authorities of a Kafka cluster, and the certificates that they sign."""

import ssl
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from cluster_command import run

_CONFIG = "[req]\ndistinguished_name = subject\n[subject]\n"
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def authority(name: str, key: str | None = None) -> tuple[str, str]:
    """Return the certificate and the key, new if none is given, of an authority."""
    with tempfile.TemporaryDirectory() as folder:
        return _made(Path(folder), f"/O=io.strimzi/CN={name}", "CA:TRUE,pathlen:0", key=key)


def ends(certificate: str) -> datetime:
    """Return when a certificate ends to be valid."""
    said = run("openssl", "x509", "-noout", "-enddate", stdin=certificate)
    seconds = ssl.cert_time_to_seconds(said.strip().removeprefix("notAfter="))
    return datetime.fromtimestamp(seconds, UTC)


def signed(certificate: str, key: str, names: Iterable[str]) -> tuple[str, str]:
    """Return the certificate and the key of a server with these names."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "ca.crt").write_text(certificate)
        (folder / "ca.key").write_text(key)
        alternatives = ",".join(f"DNS:{one}" for one in names)
        more = ("-addext", f"subjectAltName={alternatives}", "-CA", "ca.crt", "-CAkey", "ca.key")
        return _made(folder, "/O=io.strimzi/CN=kafka", "CA:FALSE", *more)


def _made(
    folder: Path, subject: str, constraint: str, *more: str, key: str | None = None
) -> tuple[str, str]:
    (folder / "openssl.cnf").write_text(_CONFIG)
    if key is not None:
        (folder / "made.key").write_text(key)
    keys = ("-key", "made.key") if key is not None else (*_KEY, "-keyout", "made.key")
    command = ("openssl", "req", "-x509", "-config", "openssl.cnf", "-days", "365", *keys)
    constraints = ("-addext", f"basicConstraints=critical,{constraint}")
    run(*command, "-out", "made.crt", "-subj", subject, *constraints, *more, folder=folder)
    return (folder / "made.crt").read_text(), (folder / "made.key").read_text()
