"""TLS as the clients of Kafka use it."""

import ssl
from contextlib import suppress

from sensorpipe_schema import certificates


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Return a context that trusts `ca_file`, or else the authorities of the system."""
    context = certificates.trusting(ca_file)
    context.sslobject_class = _SaysGoodbye
    return context


class _SaysGoodbye(ssl.SSLObject):
    """Tells the peer of the end, and does not wait for its answer (RFC 8446, 6.1: no need to).

    Kafka gives none where it reads the end together with the request before it:
    SslTransportLayer leaves the end to the next read, but nothing more comes to read. A
    consumer that stops does just that, as its next fetch is always under way; uvloop would
    wait 30 s (asyncio until the fetch's answer is an error), and aiokafka cannot set its
    ssl_shutdown_timeout. Nothing is lost: all else that aiokafka sent is answered by then.
    """

    def unwrap(self) -> None:
        with suppress(ssl.SSLWantReadError):  # ours is on its way; only the peer's is wanted
            super().unwrap()
