import io
import json
import logging
from datetime import UTC, datetime

import pytest
from sensorpipe_runtime import logs
from sensorpipe_runtime.throttled_log import LibraryThrottle

LOG = logging.getLogger("sensorpipe.x")


@pytest.fixture
def output():
    """What the process logs, set up as a program sets it up; as it was afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    stream = io.StringIO()
    logs.setup("sensorpipe-test", stream=stream)
    yield stream
    root.handlers, root.level = handlers, level


def only(stream: io.StringIO) -> dict[str, object]:
    [line] = stream.getvalue().splitlines()
    content = json.loads(line)
    assert isinstance(content, dict)
    return content


def test_a_record_is_one_json_object_on_one_line(output):
    before = datetime.now(UTC).replace(microsecond=0)
    LOG.info("window\nstored", extra={"facility": "f", "count": 3, "spread": 0.5, "late": True})
    line = only(output)
    time = line.pop("time")
    assert isinstance(time, str)
    assert datetime.fromisoformat(time) >= before
    assert line == {
        "level": "info",
        "program": "sensorpipe-test",
        "logger": "sensorpipe.x",
        "message": "window\nstored",
        "facility": "f",
        "count": 3,
        "spread": 0.5,
        "late": True,
    }


def test_arguments_are_put_into_the_message(output):
    LOG.warning("%s of %d", "one", 2)
    assert only(output)["message"] == "one of 2"


def test_an_exception_comes_with_its_traceback_on_the_same_line(output):
    try:
        [].pop()
    except IndexError:
        LOG.exception("cannot go on")
    line = only(output)
    assert line["level"] == "error"
    assert str(line["exception"]).startswith("Traceback")
    assert str(line["exception"]).endswith("IndexError: pop from empty list")


class Unprintable:
    def __str__(self) -> str:
        return "a thing"

    __repr__ = __str__


RECURSIVE: list[object] = []
RECURSIVE.append(RECURSIVE)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Unprintable(), "a thing"),
        ([Unprintable()], ["a thing"]),
        (ValueError("bad"), "bad"),
        (2**70, 2**70),
        (float("nan"), None),
        ({(1, 2): 3}, {"(1, 2)": 3}),
        ("\ud800", r"'\ud800'"),
        (RECURSIVE, "[[...]]"),
    ],
)
def test_no_extra_is_too_strange_to_be_logged(output, value, shown):
    LOG.info("strange", extra={"value": value})
    line = only(output)
    assert line["value"] == shown
    assert "strange" in str(line["message"])


def test_text_is_not_escaped_into_ascii_without_need(output):
    LOG.info("größer", extra={"unit": "°C"})
    assert '"größer"' in output.getvalue()
    assert '"°C"' in output.getvalue()


def test_the_level_holds_and_libraries_are_quieter(output):
    LOG.debug("not seen")
    logging.getLogger("aiokafka.consumer.fetcher").info("not seen either")
    logging.getLogger("aiokafka").error("not seen: an attempt to connect, which programs report")
    logging.getLogger("aiokafka.consumer.fetcher").warning("seen")
    assert only(output)["message"] == "seen"


@pytest.mark.usefixtures("output")
def test_lines_of_two_threads_are_not_mixed(monkeypatch):
    handler = logging.getLogger().handlers[0]
    held: list[str] = []
    monkeypatch.setattr(handler, "acquire", lambda: held.append("taken"))
    monkeypatch.setattr(handler, "release", lambda: held.append("released"))
    monkeypatch.setattr(handler, "emit", lambda record: held.append(record.getMessage()))
    [throttle, _] = handler.filters
    assert isinstance(throttle, LibraryThrottle)
    throttle._emit(logging.makeLogRecord({"msg": "The library has stopped logging warnings"}))
    assert held == ["taken", "The library has stopped logging warnings", "released"]


def test_standard_output_is_the_default(capsys):
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    try:
        logs.setup("sensorpipe-test", level="DEBUG")
        LOG.debug("here")
    finally:
        root.handlers, root.level = handlers, level
    assert json.loads(capsys.readouterr().out)["message"] == "here"
