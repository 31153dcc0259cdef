"""Every reason that a program gives a dead letter has a hint of what to do."""

import ast
from pathlib import Path

import pytest
from sensorpipe_schema.dead_letters import UNKNOWN, WHAT_TO_DO, what_to_do

ROOT = Path(__file__).parents[3]
FOLDERS = ("schema", "images/compactor", "images/server")
RAISED = {
    "BadReadingError": 0,
    "BadPartialError": 0,
    "BadTopicError": 0,
    "RefusedMessageError": 0,
    "RefusedRecord": 1,
    "_learn_name": 1,
    "_filled": 2,
}
"""What is called with a reason, and as which argument."""

OF_MSGSPEC = {f"{kind}_{key}" for kind in ("no", "bad") for key in ("ts", "val")}
OTHERS = {"bad_src", "bad_seq", "val_not_finite", "not_an_object", "malformed_packet", "too_large"}
CONSTANTS = ("AHEAD", "WINDOW_REMOVED", "_TOO_LARGE")


def reasons_in_code() -> set[str]:
    """Return every text that the programs pass as a reason."""
    found = set()
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                found |= passed(node) | constant(node)
    return found


def passed(node: ast.AST) -> set[str]:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return set()
    place = RAISED.get(node.func.id)
    if place is None or len(node.args) <= place:
        return set()
    return text_of(node.args[place])


def constant(node: ast.AST) -> set[str]:
    if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
        return set()
    return text_of(node.value) if node.target.id in CONSTANTS else set()


def text_of(node: ast.expr | None) -> set[str]:
    return {str(node.value)} if isinstance(node, ast.Constant) else set()


def test_the_hints_are_of_exactly_the_reasons_that_there_are() -> None:
    assert reasons_in_code() | OF_MSGSPEC | OTHERS == set(WHAT_TO_DO)


@pytest.mark.parametrize("reason", sorted(WHAT_TO_DO))
def test_a_hint_is_short_and_no_sentence(reason: str) -> None:
    for hint in (what_to_do(reason), what_to_do(reason, of_feed=True)):
        assert 10 < len(hint) <= 90
        assert not hint.endswith(".")
        assert hint[0].islower()


def test_a_message_of_a_feed_is_not_sent_to_write_a_feed() -> None:
    of_feed = {"not_json", "too_large", "bad_facility_name", "bad_sensor_name", "too_old",
               "ahead_of_time"}  # fmt: skip
    for reason in of_feed:
        hint = what_to_do(reason, of_feed=True)
        assert hint != what_to_do(reason)
        assert "write a Feed" not in hint
        assert "send ts" not in hint


def test_the_documentation_explains_each_reason() -> None:
    pages = ("docs/devices.md", "docs/runbooks/SensorpipeSummariesRefused.md")
    text = "".join((ROOT / page).read_text(encoding="utf-8") for page in pages)
    missing = {reason for reason in WHAT_TO_DO if f"`{reason}`" not in text}
    assert missing <= {"bad_window", "bad_moments", "bad_origin", "bad_sketch", "bad_sources"}
    assert "`bad_…`" in text  # of the compactor's own messages, which no user sends


def test_a_reason_of_a_newer_program_has_a_hint_too() -> None:
    assert what_to_do("colour_missing") == UNKNOWN
