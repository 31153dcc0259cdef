"""What schemathesis has to know beyond the OpenAPI document (`SCHEMATHESIS_HOOKS` names this)."""

import time
from typing import Any

import schemathesis
from schemathesis import Case, GenerationMode, HookContext
from sensorpipe_server.api.params import read_cursor
from sensorpipe_server.api.times import parse_time
from support.openapi_documents import have_declared_fields_only


@schemathesis.hook
def before_load_schema(_context: HookContext, raw_schema: dict[str, Any]) -> None:
    """Have only what is described pass: no other status, no other field."""
    for path in raw_schema["paths"].values():
        del path["get"]["responses"]["default"]
    have_declared_fields_only(raw_schema)


@schemathesis.hook
def before_call(_context: HookContext, case: Case[Any], _kwargs: dict[str, Any]) -> None:
    """Have valid requests follow the rules between parameters, which no schema can say."""
    if case.meta is None or case.meta.generation.mode is GenerationMode.POSITIVE:
        _follow_rules(case.query)


def _follow_rules(query: dict[str, Any]) -> None:
    if "cursor" in query:
        query.pop("offset", None)
        if not _is_cursor(query["cursor"]):
            query["cursor"] = ""
    if query.get("every", "auto") != "auto":  # the length of windows is known to the server only
        query["every"] = "90s"
        query.pop("points", None)
    if "from" in query and "to" not in query and _unix_ms(query["from"]) > time.time() * 1000:
        query["from"] = "now"
    if "from" in query and "to" in query:
        query["from"], query["to"] = sorted((query["from"], query["to"]), key=_unix_ms)


def _is_cursor(text: str) -> bool:
    try:
        read_cursor(text)
    except ValueError:
        return False
    return True


def _unix_ms(time_in_query: object) -> int:
    return parse_time(str(time_in_query), int(time.time() * 1000)).unix_ms
