"""TLS contexts of clients, with private certificate authorities whose file may change."""

import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

log = logging.getLogger(__name__)


def client_context(ca_file: str | None) -> ssl.SSLContext:
    """Return a context that trusts the CAs in `ca_file`, or else those of the system.

    For a private CA the Authority Key Identifier is not required, as Python does since 3.13:
    Strimzi's certificates have none (strimzi/strimzi-kafka-operator#11375), nor have many that
    are made by hand. Raises OSError if the file cannot be read or holds no certificate.
    """
    context = ssl.create_default_context(cafile=ca_file)
    if ca_file is not None:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def ca_file_problem(ca_file: str | None) -> str | None:
    """Return what is wrong with a file of CA certificates; None if it is usable or not given."""
    if ca_file is None:
        return None
    try:
        client_context(ca_file)
    except OSError as error:  # ssl.SSLError is one
        return f"{ca_file} holds no certificates: {error}"
    return None


class ChangingFile:
    """Detects that a file was replaced or written since the last check.

    Compares device, inode, size and modification time of the file behind symbolic links:
    Kubernetes updates a mounted Secret by changing a link to its folder.
    """

    def __init__(self, path: str) -> None:
        self.path: Final = path
        self._seen = self._identity()

    def has_changed(self) -> bool:
        """Return True once for each change; a missing file counts as unchanged."""
        found = self._identity()
        if found is None or found == self._seen:
            return False
        self._seen = found
        return True

    def _identity(self) -> tuple[int, int, int, int] | None:
        try:
            found = Path(self.path).stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class ReloadingContext(ssl.SSLContext):
    """A client's context whose new connections trust what `ca_file` holds at that time.

    For clients that keep the context they were created with. `make` returns the context for
    new connections and is called again when the file has changed, so removed authorities are no
    longer trusted. If the changed file is not usable, that is logged and the old context
    stays in use. Open connections are not affected.
    """

    def __new__(cls, ca_file: str, make: Callable[[], ssl.SSLContext]) -> Self:  # noqa: ARG004  of __init__
        """Create the object as ssl.SSLContext does, which takes only the protocol."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, ca_file: str, make: Callable[[], ssl.SSLContext]) -> None:
        self._file = ChangingFile(ca_file)
        self._make = make
        self._present = make()
        self.verify_flags = self._present.verify_flags

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """Start TLS for a connection of asyncio or uvloop."""
        return self._current().wrap_bio(*args, **options)

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        """Start TLS over a socket."""
        return self._current().wrap_socket(*args, **options)

    def _current(self) -> ssl.SSLContext:
        if self._file.has_changed():
            fields = {"file": self._file.path}
            try:
                self._present = self._make()
            except OSError as error:
                log.warning(
                    "The changed file of CA certificates is not usable; the old ones stay trusted",
                    extra=fields | {"error": str(error)},
                )
            else:
                log.info("New CA certificates are trusted", extra=fields)
        return self._present
