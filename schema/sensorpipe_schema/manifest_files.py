"""Reads Sensors and Feeds from files and folders, and reports all problems together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sensorpipe_schema import sensor
from sensorpipe_schema.feed import manifest as feed_manifest
from sensorpipe_schema.feed.checks import overlaps
from sensorpipe_schema.feed.manifest import Feed, FeedError
from sensorpipe_schema.sensor import Sensor, SensorError, check_kind
from sensorpipe_schema.shape import Problems
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


@dataclass(frozen=True, slots=True)
class Manifests:
    """Valid Sensors and Feeds, in the order in which they were found."""

    sensors: list[Sensor]
    feeds: list[Feed]
    places: dict[tuple[str, str], str]
    """By namespace and name of a Feed: the file that it is in."""


def load_files(paths: Iterable[str | Path]) -> list[Sensor]:
    """Return the Sensors of files and folders, as `load_manifests`; a Feed is a problem."""
    found = load_manifests(paths)
    if found.feeds:
        places = found.places
        problems = [
            Problem(
                places[feed.key], "", "", f"only Sensors are taken here; {feed.name!r} is a Feed"
            )
            for feed in found.feeds
        ]
        raise SensorFilesError(problems)
    return found.sensors


def load_manifests(paths: Iterable[str | Path]) -> Manifests:
    """Return the Sensors and Feeds of files and folders in order, or raise SensorFilesError.

    In a folder, *.yaml, *.yml and *.json files are read in the order of their names. A file may
    contain several documents. No two of a kind may have the same name and namespace, and the
    topics of no two Feeds may overlap.
    """
    problems: list[Problem] = []
    found: list[tuple[Sensor | Feed, Problem]] = []
    for file in _files(paths, problems):
        found += _read(file, problems)
    first: dict[tuple[type, tuple[str, str]], Problem] = {}
    for manifest, place in found:
        other = first.setdefault((type(manifest), manifest.key), place)
        if other is not place:
            message = f"must be unique; {manifest.name!r} is also in {_where(other)}"
            problems.append(Problem(place.file, place.document, "metadata.name", message))
    feeds = [(each, place) for each, place in found if isinstance(each, Feed)]
    problems += _overlaps([pair for pair in feeds if not pair[0].spec.suspend])
    if problems:
        raise SensorFilesError(problems)
    return Manifests(
        [each for each, _ in found if isinstance(each, Sensor)],
        [feed for feed, _ in feeds],
        {feed.key: place.file for feed, place in feeds},
    )


def _overlaps(feeds: list[tuple[Feed, Problem]]) -> list[Problem]:
    """Return a problem for each two Feeds that take messages of the same topic."""
    problems = []
    for i, j in overlaps(feed.spec.topic for feed, _ in feeds):
        (feed, place), (other, there) = feeds[i], feeds[j]
        message = (
            f"must not overlap another Feed; {feed.spec.topic.text!r} and "
            f"{other.spec.topic.text!r} of {other.name!r} in {_where(there)} take the same topics"
        )
        problems.append(Problem(place.file, place.document, "spec.topic", message))
    return problems


def _where(place: Problem) -> str:
    return ": ".join(filter(None, (place.file, place.document)))


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


def _read(file: Path, problems: list[Problem]) -> list[tuple[Sensor | Feed, Problem]]:
    """Return the Sensors and Feeds of a file, each with its place."""
    try:
        documents = read_documents(file)
    except DocumentError as error:
        problems.append(Problem(str(file), "", "", str(error)))
        return []
    if not documents:
        problems.append(Problem(str(file), "", "", "holds no Sensor and no Feed"))
    found: list[tuple[Sensor | Feed, Problem]] = []
    for number, document in enumerate(documents, 1):
        place = f"document {number}" if len(documents) > 1 else ""
        try:
            found.append((_parse(document), Problem(str(file), place, "", "")))
        except (SensorError, FeedError) as error:
            place = place and f"{place}{_named(document)}"
            problems += [Problem(str(file), place, *problem) for problem in error.problems]
    return found


def _parse(document: object) -> Sensor | Feed:
    """Return a document as what its kind says; raise SensorError or FeedError."""
    match document.get("kind") if isinstance(document, dict) else None:
        case sensor.KIND:
            return Sensor.parse(document)
        case feed_manifest.KIND:
            return Feed.parse(document)
        case _:
            pass
    problems = Problems()
    check_kind(document, f"{sensor.KIND} or {feed_manifest.KIND}", problems)
    raise SensorError(problems)


def _named(document: object) -> str:
    """Return a document's name in brackets, if it has one."""
    metadata = document.get("metadata") if isinstance(document, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return f" ({name[:63]})" if isinstance(name, str) else ""
