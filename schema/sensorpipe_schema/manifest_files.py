"""Reads Sensors from files and folders, and reports all problems together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sensorpipe_schema.sensor import Sensor, SensorError
from sensorpipe_schema.strict_yaml import SUFFIXES, DocumentError, read_documents


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem; `document` is empty in a file with one document, `field` may be empty."""

    file: str
    document: str
    field: str
    message: str

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.file, self.document, self.field, self.message)))


class SensorFilesError(ValueError):
    """All problems of the files, one per line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = list(problems)


def load_files(paths: Iterable[str | Path]) -> list[Sensor]:
    """Return the Sensors of files and folders in order, or raise SensorFilesError.

    In a folder, *.yaml, *.yml and *.json files are read in the order of their names. A file may
    contain several documents. No two Sensors may have the same name and namespace.
    """
    problems: list[Problem] = []
    found: list[tuple[Sensor, Problem]] = []
    for file in _files(paths, problems):
        found += _read(file, problems)
    first: dict[tuple[str, str], Problem] = {}
    for sensor, place in found:
        other = first.setdefault(sensor.key, place)
        if other is not place:
            there = ": ".join(filter(None, (other.file, other.document)))
            message = f"must be unique; {sensor.name!r} is also in {there}"
            problems.append(Problem(place.file, place.document, "metadata.name", message))
    if problems:
        raise SensorFilesError(problems)
    return [sensor for sensor, _ in found]


def _files(paths: Iterable[str | Path], problems: list[Problem]) -> list[Path]:
    files: list[Path] = []
    for path in map(Path, paths):
        try:
            inside = sorted(path.iterdir()) if path.is_dir() else [path]
        except OSError as error:
            problems.append(Problem(str(path), "", "", f"cannot be read: {error.strerror}"))
            continue
        taken = [file for file in inside if file == path or file.suffix in SUFFIXES]
        if not taken:
            message = f"a folder without any file *{', *'.join(SUFFIXES)}"
            problems.append(Problem(str(path), "", "", message))
        files += taken
    return files


def _read(file: Path, problems: list[Problem]) -> list[tuple[Sensor, Problem]]:
    """Return the Sensors of a file, each with its place."""
    try:
        documents = read_documents(file)
    except DocumentError as error:
        problems.append(Problem(str(file), "", "", str(error)))
        return []
    if not documents:
        problems.append(Problem(str(file), "", "", "holds no Sensor"))
    found = []
    for number, document in enumerate(documents, 1):
        place = f"document {number}" if len(documents) > 1 else ""
        try:
            found.append((Sensor.parse(document), Problem(str(file), place, "", "")))
        except SensorError as error:
            place = place and f"{place}{_named(document)}"
            problems += [Problem(str(file), place, *problem) for problem in error.problems]
    return found


def _named(document: object) -> str:
    """Return a document's name in brackets, if it has one."""
    metadata = document.get("metadata") if isinstance(document, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return f" ({name[:63]})" if isinstance(name, str) else ""
