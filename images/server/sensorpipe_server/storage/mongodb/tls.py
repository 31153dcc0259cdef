"""MongoDB's certificate authorities, as `tlsCAFile` holds them at each new connection."""

import ssl
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError
from sensorpipe_runtime.tls import ReloadingContext

_CONTEXT: Final = "_PoolOptions__ssl_context"
"""PyMongo makes a context of its own from the URI, keeps it, and takes no other."""

Connect = Callable[[], AsyncMongoClient[dict[str, Any]]]


def connect_reloading(uri: str, connect: Connect) -> AsyncMongoClient[dict[str, Any]]:
    """Return the client that `connect` makes of `uri`, following a change of its `tlsCAFile`.

    Each time the file has changed, PyMongo reads all files that the URI names anew, by
    another call of `connect` whose client is never used. With `mongodb+srv` it makes its
    context after this, at the look-up of the hosts, and goes on with what it read then.
    """
    client = connect()
    ca_file = _ca_file(uri)
    if ca_file is not None:
        context = ReloadingContext(ca_file, lambda: _context(connect))
        setattr(client.options.pool_options, _CONTEXT, context)
    return client


def _context(connect: Connect) -> ssl.SSLContext:
    """Return a context as PyMongo makes it; OSError where a file cannot be used."""
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
