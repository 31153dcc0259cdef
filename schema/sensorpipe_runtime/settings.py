"""Settings from the environment: `NAME`, or `NAME_FILE` naming a file that holds the value."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from sensorpipe_runtime import duration

T = TypeVar("T")


class SettingsError(ValueError):
    """All problems of the environment variables, one per line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@contextmanager
def exit_on_settings_error(program: str) -> Iterator[None]:
    """Exit with status 1 and the text of a SettingsError, without a traceback."""
    try:
        yield
    except SettingsError as error:
        sys.exit(f"{program}: {error}")


class Environment:
    """Reads environment variables and collects all problems; `check` raises them together."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._problems: list[str] = []

    def text(self, name: str, default: str | None = None) -> str:
        """Return a variable's text; it is required if there is no default."""
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
        """Return one of the `allowed` words."""

        def word(text: str) -> str:
            if text not in allowed:
                raise ValueError(f"must be one of {', '.join(allowed)}; got {text!r}")
            return text

        return self.parse(name, word, default)

    def log_level(self) -> str:
        """Return the value of `SENSORPIPE_LOG_LEVEL`, INFO by default."""
        return self.choice("SENSORPIPE_LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))

    def address(self, name: str, default: str) -> tuple[str, int]:
        """Return host and port of an address `HOST:PORT`."""
        return self.parse(name, _host_port, default)

    def parse(self, name: str, parser: Callable[[str], T], default: str | None = None) -> T:
        """Return `parser(value)`; a ValueError becomes a problem that names the variable."""
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
        """Add a problem, as a text that names the variables."""
        self._problems.append(text)

    def check(self) -> None:
        """Raise SettingsError if there are any problems."""
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
"""Returned for a missing or wrong value; `check` raises before it is used."""


def _positive_ms(text: str) -> int:
    milliseconds = duration.parse_ms(text)
    if milliseconds <= 0:
        raise ValueError(f"must be greater than zero; got {text!r}")
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
