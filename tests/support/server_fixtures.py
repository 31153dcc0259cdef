"""The server's API over a database of the test's own: `pytest_plugins = ["server_fixtures"]`."""

import pytest
from support.server_parts import client_of, fresh_database


@pytest.fixture
async def db(mongod):
    async with fresh_database(mongod) as fresh:
        yield fresh


@pytest.fixture
async def client(db):
    async with client_of(db) as made:
        yield made
