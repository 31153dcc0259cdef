"""Reloads the certificate authorities of `tlsCAFile` for new connections to MongoDB."""

import ssl
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError
from sensorpipe_runtime.tls import ReloadingContext

_CONTEXT: Final = "_PoolOptions__ssl_context"
"""Attribute in which PyMongo keeps the TLS context that it creates; no option sets it."""

Connect = Callable[[], AsyncMongoClient[dict[str, Any]]]


def connect_reloading(uri: str, connect: Connect) -> AsyncMongoClient[dict[str, Any]]:
    """Return the client that `connect` creates for `uri`, which reloads `tlsCAFile` on a change.

    Each time the file has changed, PyMongo reads all files that the URI names again, in another
    call of `connect` whose client is never used. With `mongodb+srv` it creates its context
    after this, when it looks up the hosts, and does not reload the file.
    """
    client = connect()
    ca_file = _ca_file(uri)
    if ca_file is not None:
        context = ReloadingContext(ca_file, lambda: _context(connect))
        setattr(client.options.pool_options, _CONTEXT, context)
    return client


def _context(connect: Connect) -> ssl.SSLContext:
    """Return a context as PyMongo creates it; raise OSError if a file cannot be used."""
    try:
        context: object = connect().options.pool_options._ssl_context  # noqa: SLF001  none is public
    except PyMongoError as error:
        raise OSError(str(error)) from error
    if not isinstance(context, ssl.SSLContext):
        raise TypeError(f"PyMongo made {context!r} of a URI with tlsCAFile, and no TLS context")
    return context


def _ca_file(uri: str) -> str | None:
    options = {name.lower(): value for name, value in parse_qsl(uri.partition("?")[2])}
    return options.get("tlscafile")
