"""Runs inside a pod of the tests, which gives it to `python -`: what may the server's user do?

Printed is what became of each attempt, as JSON.
"""

import json
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure

URI = Path("/secrets/mongodb/uri").read_text()
OWN = "compacted_sensor_readings"


def attempt(what):
    try:
        what()
    except OperationFailure as error:
        return (error.details or {}).get("codeName", str(error.code))
    return "ok"


def without_password():
    scheme, _, rest = URI.partition("://")
    host = rest.partition("@")[2].partition("/")[0]
    return MongoClient(f"{scheme}://{host}/?directConnection=true", serverSelectionTimeoutMS=10_000)


def main():
    server: MongoClient[dict[str, Any]] = MongoClient(URI)
    nobody = without_password()
    own = server.get_default_database()
    attempts = {
        "reads its own": own[OWN].find_one,
        "reads another": server["another"]["things"].find_one,
        "writes another": lambda: server["another"]["things"].insert_one({"a": 1}),
        "reads the users": server["admin"]["system.users"].find_one,
        "makes a user": lambda: own.command("createUser", "second", pwd="x", roles=[]),
        "drops its own": lambda: own.command("dropDatabase"),
        "reads without a password": nobody[own.name][OWN].find_one,
    }
    print(json.dumps({name: attempt(what) for name, what in attempts.items()}))


if __name__ == "__main__":
    main()
