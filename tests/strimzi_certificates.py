"""The authority of a Kafka cluster, and the certificate of its broker."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from cluster_command import run

_CONFIG = "[req]\ndistinguished_name = subject\n[subject]\n"
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def authority() -> tuple[str, str]:
    """Return the certificate and the key of a new authority."""
    with tempfile.TemporaryDirectory() as folder:
        # like Strimzi's own: /O=io.strimzi/CN=cluster-ca v0
        return _made(Path(folder), "/O=io.strimzi/CN=cluster-ca v0", "CA:TRUE,pathlen:0")


def signed(certificate: str, key: str, names: Iterable[str]) -> tuple[str, str]:
    """Return the certificate and the key of a server with these names."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "ca.crt").write_text(certificate)
        (folder / "ca.key").write_text(key)
        alternatives = ",".join(f"DNS:{one}" for one in names)
        more = ("-addext", f"subjectAltName={alternatives}", "-CA", "ca.crt", "-CAkey", "ca.key")
        return _made(folder, "/O=io.strimzi/CN=kafka", "CA:FALSE", *more)


def _made(folder: Path, subject: str, constraint: str, *more: str) -> tuple[str, str]:
    (folder / "openssl.cnf").write_text(_CONFIG)
    command = ("openssl", "req", "-x509", "-config", "openssl.cnf", "-days", "365", *_KEY)
    files = ("-keyout", "made.key", "-out", "made.crt", "-subj", subject)
    constraints = ("-addext", f"basicConstraints=critical,{constraint}")
    run(*command, *files, *constraints, *more, folder=folder)
    return (folder / "made.crt").read_text(), (folder / "made.key").read_text()
