"""Reads the access file and the files with keys that it names."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sensorpipe_runtime.tls import ca_file_problem
from sensorpipe_schema.strict_yaml import DocumentError, read_documents

from sensorpipe_server.access.keys import KeysError, VerifyingKey, parse_keys, secret_key
from sensorpipe_server.access.rules import AccessError, Issuer, Rules, parse

MAX_KEY_BYTES: Final = 256 * 1024
"""Largest size of a key set in bytes, in a file or from an issuer."""


@dataclass(frozen=True, slots=True)
class AccessFiles:
    """What the access file and those that it names hold; all of it is checked."""

    rules: Rules
    keys: Mapping[str, tuple[VerifyingKey, ...]]
    """By issuer, the keys that are in files."""
    paths: tuple[Path, ...]
    """All files that were read."""


def read_access(path: Path) -> AccessFiles:
    """Read the access file, or raise AccessError with everything that is wrong.

    Other files are relative to its folder.
    """
    try:
        documents = read_documents(path)
    except DocumentError as error:
        raise AccessError([f"{path}: {error}"]) from error
    if len(documents) != 1:
        raise AccessError([f"{path}: must hold one document; got {len(documents)}"])
    rules = parse(documents[0])
    keys: dict[str, tuple[VerifyingKey, ...]] = {}
    paths, problems = [path], []
    for number, issuer in enumerate(rules.issuers):
        if issuer.ca_file and (why := ca_file_problem(str(path.parent / issuer.ca_file))):
            problems.append(f"issuers[{number}].caFile: {why}")
        for field, name in _key_files(issuer):
            file = path.parent / name
            paths.append(file)
            try:
                keys[issuer.issuer] = _read_keys(file, is_secret=field == "secretFile")
            except KeysError as error:
                problems.append(f"issuers[{number}].{field}: {file}: {error}")
    if problems:
        raise AccessError(problems)
    return AccessFiles(rules, keys, tuple(paths))


def _key_files(issuer: Issuer) -> Iterator[tuple[str, str]]:
    if issuer.jwks_file:
        yield "jwksFile", issuer.jwks_file
    if issuer.secret_file:
        yield "secretFile", issuer.secret_file


def _read_keys(path: Path, *, is_secret: bool) -> tuple[VerifyingKey, ...]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_KEY_BYTES + 1)
    except OSError as error:
        raise KeysError(f"cannot be read: {error.strerror}") from error
    if len(content) > MAX_KEY_BYTES:
        raise KeysError(f"must be at most {MAX_KEY_BYTES // 1024} KiB")
    return secret_key(content) if is_secret else parse_keys(content)
