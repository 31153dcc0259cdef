"""Reads the access file, and the files with issuers and keys that it names.

Kubernetes replaces all files of a mounted ConfigMap at once, by changing a link to their folder.
What is read here is of one moment: an issuer is never taken with the keys of another.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sensorpipe_runtime.tls import ChangingFile, ca_file_problem
from sensorpipe_schema.strict_yaml import DocumentError, read_documents

from sensorpipe_server.access.keys import VerifyingKey, parse_keys, secret_key
from sensorpipe_server.access.rules import (
    AccessError,
    Issuer,
    Rules,
    issuer_text,
    parse,
    with_issuers,
)

MAX_KEY_BYTES: Final = 256 * 1024
"""Largest size of a key set in bytes, in a file or from an issuer."""

_ATTEMPTS: Final = 5
"""How often files are read that change meanwhile."""


@dataclass(frozen=True, slots=True)
class AccessFiles:
    """What the access file and those that it names hold; all of it is checked."""

    rules: Rules
    keys: Mapping[str, tuple[VerifyingKey, ...]]
    """By issuer, the keys that are in files."""
    watched: tuple[ChangingFile, ...]
    """All files that were read; each tells of changes since it was."""


def read_access(path: Path) -> AccessFiles:
    """Read the access file, or raise AccessError with everything that is wrong.

    Other files are relative to its folder. All are read again if one was replaced meanwhile.
    """
    for _ in range(_ATTEMPTS):
        watched = [ChangingFile(str(path))]
        try:
            rules, keys = _read(path, watched)
        except AccessError:
            if not any(each.has_changed() for each in watched):
                raise
        else:
            if not any(each.has_changed() for each in watched):
                return AccessFiles(rules, keys, tuple(watched))
    raise AccessError([f"{path}: the files change all the time, so they cannot be read together"])


def _read(
    path: Path, watched: list[ChangingFile]
) -> tuple[Rules, dict[str, tuple[VerifyingKey, ...]]]:
    """Return rules and keys, or raise AccessError; note each file before it is read."""
    rules = parse(_document(path))
    issuers: dict[int, str] = {}
    keys: dict[int, tuple[VerifyingKey, ...]] = {}
    problems: list[str] = []
    for number, issuer in enumerate(rules.issuers):
        if issuer.ca_file and (why := ca_file_problem(str(path.parent / issuer.ca_file))):
            problems.append(f"issuers[{number}].caFile: {why}")
        for field, name in _named_files(issuer):
            file = path.parent / name
            watched.append(ChangingFile(str(file)))
            try:
                content = _content(file)
                if field == "issuerFile":
                    issuers[number] = issuer_text(content)
                else:
                    read = secret_key if field == "secretFile" else parse_keys
                    keys[number] = read(content)
            except ValueError as error:
                problems.append(f"issuers[{number}].{field}: {file}: {error}")
    if problems:
        raise AccessError(problems)
    rules = with_issuers(rules, issuers)
    return rules, {rules.issuers[number].issuer: found for number, found in keys.items()}


def _document(path: Path) -> Any:
    try:
        documents = read_documents(path)
    except DocumentError as error:
        raise AccessError([f"{path}: {error}"]) from error
    if len(documents) != 1:
        raise AccessError([f"{path}: must hold one document; got {len(documents)}"])
    return documents[0]


def _named_files(issuer: Issuer) -> Iterator[tuple[str, str]]:
    if issuer.issuer_file:
        yield "issuerFile", issuer.issuer_file
    if issuer.jwks_file:
        yield "jwksFile", issuer.jwks_file
    if issuer.secret_file:
        yield "secretFile", issuer.secret_file


def _content(path: Path) -> bytes:
    """Return what a file holds; raise ValueError."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_KEY_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    if len(content) > MAX_KEY_BYTES:
        raise ValueError(f"must be at most {MAX_KEY_BYTES // 1024} KiB")
    return content
