"""Checks of a Feed that concern several fields, and of several Feeds together."""

from collections.abc import Iterable, Iterator

from sensorpipe_schema.feed.spec import FeedSpec, rules_of
from sensorpipe_schema.feed.template import NameTemplate
from sensorpipe_schema.feed.topic import TopicTemplate
from sensorpipe_schema.mistakes import as_name
from sensorpipe_schema.names import NAME_RULE, READINGS_FILTER, is_name
from sensorpipe_schema.shape import FieldProblem, Problems


def check_spec(spec: FeedSpec, problems: Problems) -> None:
    """Report what does not fit together."""
    if spec.topic.covers_readings():
        message = f"must not overlap {READINGS_FILTER}; got {spec.topic.text!r}"
        problems.append(FieldProblem("spec.topic", message))
    if (spec.readings is None) == (spec.numbers is None):
        both = "both" if spec.readings is not None else "neither"
        problems.append(FieldProblem("spec", f"must have either readings or numbers; got {both}"))
    _check_template(spec, spec.facility, "spec.facility", problems)
    for i, rule in enumerate(rules_of(spec)):
        _check_template(spec, rule.sensor, f"spec.readings[{i}].sensor", problems)
    _check_same_names(spec, problems)
    _check_identity(spec, problems)
    if spec.timezone is not None and spec.time is None:
        problems.append(FieldProblem("spec.timezone", "needs spec.time, whose zone it is"))
    if spec.payload != "json":
        _check_other_payload(spec, problems)


def _check_template(spec: FeedSpec, template: NameTemplate, at: str, problems: Problems) -> None:
    known = spec.topic.all_names
    for name in template.level_names:
        if name not in known:
            allowed = ", ".join(known) or "none"
            message = f"{{{name}}} is no name of a level in spec.topic (there: {allowed})"
            problems.append(FieldProblem(at, message))
    if not template.references and not is_name(template.text):
        problems.append(FieldProblem(at, f"must be {NAME_RULE}; got {template.text!r}"))


def _check_same_names(spec: FeedSpec, problems: Problems) -> None:
    """Report sensors that differ only in what names cannot have."""
    first: dict[str, int] = {}
    for i, rule in enumerate(rules_of(spec)):
        name = as_name(rule.sensor.text)
        other = first.setdefault(name, i)
        if other != i and rules_of(spec)[other].sensor.text != rule.sensor.text:
            message = f"must be unique; {name!r} is also spec.readings[{other}]"
            problems.append(FieldProblem(f"spec.readings[{i}].sensor", message))


def _check_identity(spec: FeedSpec, problems: Problems) -> None:
    if spec.identity != "none" and spec.time is None and spec.payload != "number":
        message = "needs spec.time: what is sent again has another time of arrival"
        problems.append(FieldProblem("spec.identity", message))


def _check_other_payload(spec: FeedSpec, problems: Problems) -> None:
    """Report fields that only a JSON payload can have, or one with objects."""
    if spec.each is not None:
        message = f"needs payload json; a payload {spec.payload} has no arrays"
        problems.append(FieldProblem("spec.each", message))
    if spec.payload != "number":
        return
    for name, given in (
        ("time", spec.time is not None),
        ("numbers", spec.numbers is not None),
        ("identity", spec.identity != "none"),
    ):
        if given:
            message = "needs another payload; a payload number is nothing but a value"
            problems.append(FieldProblem(f"spec.{name}", message))
    if len(rules_of(spec)) > 1:
        message = "must be one with a payload number, which is one value"
        problems.append(FieldProblem("spec.readings", message))
    elif spec.facility.pointers or any(rule.at or rule.sensor.pointers for rule in rules_of(spec)):
        message = "must have no path into the payload, which is nothing but a value"
        problems.append(FieldProblem("spec.readings[0]", message))


def overlaps(topics: Iterable[TopicTemplate]) -> Iterator[tuple[int, int]]:
    """Yield the places of each two topics that overlap: the later one first."""
    seen: list[TopicTemplate] = []
    for i, topic in enumerate(topics):
        for j, other in enumerate(seen):
            if topic.overlaps(other):
                yield i, j
        seen.append(topic)
