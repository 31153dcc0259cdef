"""A Feed's manifest: reads, checks and writes it."""

from dataclasses import dataclass
from typing import Any, Final

from sensorpipe_schema.feed.checks import check_spec
from sensorpipe_schema.feed.spec import SPEC, FeedSpec
from sensorpipe_schema.sensor import API_VERSION, DEFAULT_NAMESPACE, METADATA, Metadata, check_kind
from sensorpipe_schema.shape import Field, Problems, Record

KIND: Final = "Feed"


class FeedError(ValueError):
    """All problems of one Feed, one per line."""

    def __init__(self, problems: Problems) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Feed:
    """A valid Feed."""

    metadata: Metadata
    spec: FeedSpec

    @property
    def name(self) -> str:
        """The Feed's `metadata.name`."""
        return self.metadata.name

    @property
    def full_name(self) -> str:
        """`NAMESPACE/NAME`, or only the name if the manifest names no namespace."""
        metadata = self.metadata
        return f"{metadata.namespace}/{metadata.name}" if metadata.namespace else metadata.name

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name, which no two Feeds share."""
        return self.metadata.namespace or DEFAULT_NAMESPACE, self.metadata.name

    @classmethod
    def parse(cls, manifest: object, *, strict: bool = True) -> "Feed":
        """Read a manifest, or raise FeedError with all problems.

        With `strict`, an unknown field is an error, since it may be misspelt. Without it,
        unknown fields are ignored: in a cluster, the definition of Feeds may be newer.
        """
        problems = Problems(strict=strict)
        check_kind(manifest, KIND, problems)
        feed = None if problems else _FEED.read(manifest, "", problems)
        if not isinstance(feed, cls) or problems:
            raise FeedError(problems)
        check_spec(feed.spec, problems)
        if problems:
            raise FeedError(problems)
        return feed

    def to_manifest(self) -> dict[str, Any]:
        """Return the manifest with all defaults filled in; `parse` reads it back."""
        return {"apiVersion": API_VERSION, "kind": KIND, **_FEED.write(self)}


_FEED: Final = Record(
    Feed,
    {
        "metadata": Field(METADATA, "Standard object metadata."),
        "spec": Field(SPEC, "Which messages are readings, and how."),
    },
    ignored=frozenset(("apiVersion", "kind", "status")),
)
