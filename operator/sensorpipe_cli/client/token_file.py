"""The file with the token that a command sends, or standard input."""

import sys
from functools import cache
from pathlib import Path
from typing import Final

from sensorpipe_cli.errors import UnusableError

STDIN: Final = Path("-")

_MOST_BYTES: Final = 64 * 1024
"""Bytes read of standard input: a token that the server takes has a quarter of them at most."""


def read_token(path: Path | None) -> str | None:
    """Return the token in a file, or raise UnusableError; None without a file.

    A file may be replaced while a command runs, so each request reads it again; `-` is standard
    input, which is read once.
    """
    if path is None:
        return None
    try:
        token = _stdin() if path == STDIN else path.read_bytes().decode("ascii", "replace").strip()
    except OSError as error:
        raise UnusableError([f"--token-file {path}: {error}"]) from error
    if not (token.isascii() and token.isprintable() and token):
        got = "others" if token else "nothing"
        rule = "must hold a token of printable ASCII characters"
        raise UnusableError([f"--token-file {path}: {rule}; got {got}"])
    return token


@cache
def _stdin() -> str:
    return sys.stdin.buffer.read(_MOST_BYTES).decode("ascii", "replace").strip()
