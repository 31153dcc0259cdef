"""TLS contexts for Kafka clients."""

import ssl
from contextlib import suppress

from sensorpipe_runtime import tls


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Return a context that trusts the CAs in `ca_file`, or else those of the system.

    aiokafka keeps it for the lifetime of a client, so it reloads a changed file. Raises OSError
    if the file cannot be read or holds no certificate.
    """
    if ca_file is None:
        return _context(None)
    return tls.ReloadingContext(ca_file, lambda: _context(ca_file))


def _context(ca_file: str | None) -> ssl.SSLContext:
    context = tls.client_context(ca_file)
    context.sslobject_class = _OneWayShutdown
    return context


class _OneWayShutdown(ssl.SSLObject):
    """Sends close_notify, and does not wait for the peer's (RFC 8446, 6.1, allows that).

    Kafka sends none if it reads close_notify together with the request before it:
    SslTransportLayer leaves it to the next read, which never comes. A consumer that stops
    causes just that, since its next fetch is always in flight; uvloop would wait for 30 s
    (asyncio until the fetch's response fails), and aiokafka cannot set ssl_shutdown_timeout.
    Nothing is lost: all other requests of aiokafka are answered by then.
    """

    def unwrap(self) -> None:
        with suppress(ssl.SSLWantReadError):  # ours was sent; only the peer's is missing
            super().unwrap()
