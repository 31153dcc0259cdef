"""The code of each operation takes the parameters that the OpenAPI document has, and no others."""

from unittest.mock import MagicMock

import pytest
from sensorpipe_server.api.routes import application
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.testclient import TestClient

APP = application(MagicMock(), page_limit=20)
CLIENT = TestClient(APP, raise_server_exceptions=False)
OPERATIONS = {
    path: item["get"] for path, item in CLIENT.get("/openapi.json").json()["paths"].items()
}

each_path = pytest.mark.parametrize("path", OPERATIONS)


def query_parameters(path):
    return [each for each in OPERATIONS[path].get("parameters", ()) if each["in"] == "query"]


def url(path):
    return path.format(facility="hall_1")


@pytest.fixture
def read(monkeypatch):
    """The names of the parameters that the code looks for."""
    names = set()

    class Recording(QueryParams):
        def get(self, key, default=None):
            names.add(key)
            return super().get(key, default)

        def __contains__(self, key):
            names.add(key)
            return super().__contains__(key)

    query = property(lambda request: Recording(request.url.query))
    monkeypatch.setattr(Request, "query_params", query)
    return names


@each_path
def test_the_code_looks_for_what_is_described(path, read):
    CLIENT.get(url(path))
    assert read == {each["name"] for each in query_parameters(path)}


@each_path
def test_what_is_not_described_is_refused(path):
    answer = CLIENT.get(url(path), params={"undescribed": "1"})
    assert answer.status_code == 400
    names = ", ".join(each["name"] for each in query_parameters(path)) or "none"
    assert f"Unknown parameter 'undescribed': allowed are {names}" in answer.json()["errors"]


@each_path
def test_what_is_required_is_missed(path):
    answer = CLIENT.get(url(path))
    required = any(each.get("required") for each in query_parameters(path))
    assert (answer.status_code == 400) == required
