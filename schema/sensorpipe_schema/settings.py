"""Settings from the environment: `NAME`, or `NAME_FILE` naming a file that holds the value."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from sensorpipe_schema import duration

T = TypeVar("T")


class SettingsError(ValueError):
    """Everything that is wrong with the environment, a line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@contextmanager
def naming_what_is_wrong(program: str) -> Iterator[None]:
    """End the program with the text of a SettingsError, and without a traceback."""
    try:
        yield
    except SettingsError as error:
        sys.exit(f"{program}: {error}")


class Environment:
    """Reads variables, collecting every problem; `check()` raises them all at once."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._problems: list[str] = []

    def text(self, name: str, default: str | None = None) -> str:
        """Return a variable's text; without a default it has to be set."""
        return self.parse(name, str, default)

    def milliseconds(self, name: str, default: str) -> int:
        """Return a positive duration in milliseconds."""
        return self.parse(name, _positive_ms, default)

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """Return a whole number between `low` and `high`."""

        def number(text: str) -> int:
            if not text.isascii() or not text.isdecimal() or not low <= int(text) <= high:
                raise ValueError(f"must be a whole number from {low} to {high}; got {text!r}")
            return int(text)

        return self.parse(name, number, str(default))

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """Return one of the allowed words."""

        def word(text: str) -> str:
            if text not in allowed:
                raise ValueError(f"must be one of {', '.join(allowed)}; got {text!r}")
            return text

        return self.parse(name, word, default)

    def log_level(self) -> str:
        """Return `SENSORPIPE_LOG_LEVEL`."""
        return self.choice("SENSORPIPE_LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))

    def address(self, name: str, default: str) -> tuple[str, int]:
        """Return (host, port) of `HOST:PORT`."""
        return self.parse(name, _host_port, default)

    def parse(self, name: str, parser: Callable[[str], T], default: str | None = None) -> T:
        """Return `parser(value)`; its ValueError becomes a problem that names the variable."""
        text = self._read(name)
        if text is None:
            text = default
        if text is None:
            self._problems.append(f"{name}: must be set (or {name}_FILE)")
        else:
            try:
                return parser(text)
            except ValueError as error:
                self._problems.append(f"{name}: {error}")
        return cast("T", _UNSET)

    def problem(self, text: str) -> None:
        """Add a problem that concerns several variables."""
        self._problems.append(text)

    def check(self) -> None:
        """Raise SettingsError if there was any problem."""
        if self._problems:
            raise SettingsError(self._problems)

    def _read(self, name: str) -> str | None:
        plain, path = self._variables.get(name), self._variables.get(f"{name}_FILE")
        if path is None:
            return plain
        if plain is not None:
            self._problems.append(f"{name}: set either {name} or {name}_FILE, not both")
            return plain
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            self._problems.append(f"{name}_FILE: cannot be read: {error}")
            return None


_UNSET: Any = None
"""Stands for a value that could not be had; `check()` raises before anybody uses it."""


def _positive_ms(text: str) -> int:
    milliseconds = duration.parse_ms(text)
    if milliseconds <= 0:
        raise ValueError(f"must be longer than nothing; got {text!r}")
    return milliseconds


def _host_port(text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"must be HOST:PORT; got {text!r}") from error
    if not host or port is None or parts.path:
        raise ValueError(f"must be HOST:PORT; got {text!r}")
    return host, port
