"""Which refusals of MongoDB make dead letters: never those that may pass."""

import pytest
from pymongo.errors import AutoReconnect, BulkWriteError
from sensorpipe_server.storage.mongodb import refusal

UNKNOWN = 99_999
DUPLICATE = {"code": 11000, "keyPattern": {"_id": 1}}

PASSING = {
    "NoProgressMade": 82,
    "RemoteResultsUnavailable": 83,
    "ConflictingOperationInProgress": 117,
    "FailedToSatisfyReadPreference": 133,
    "StaleEpoch": 150,
    "ElectionInProgress": 216,
    "StaleDbVersion": 249,
    "ClientDisconnect": 279,
    "InterruptedDueToStorageChange": 355,
    "UserWritesBlocked": 371,
    "ReauthenticationRequired": 391,
    "ResourceExhausted": 402,
    "UpdatesStillPending": 412,
    "AdmissionQueueOverflow": 433,
    "RateLimitExceeded": 449,
    "StaleConfig": 13388,
}


def bulk_error(*problems, concern=False, inserted=0):
    """Return what pymongo raises when documents of a bulk are refused."""
    return BulkWriteError(
        {
            "writeErrors": [{"code": p} if isinstance(p, int) else p for p in problems],
            "writeConcernErrors": [{"code": 64}] if concern else [],
            "nInserted": inserted,
            "nUpserted": 0,
            "nModified": 0,
        }
    )


@pytest.mark.parametrize("code", PASSING.values(), ids=PASSING)
def test_a_fault_of_the_database_is_never_one_of_a_document(code):
    error = bulk_error(code, DUPLICATE, inserted=7)
    with pytest.raises(BulkWriteError):
        refusal.permanent(error, 1e9)


@pytest.mark.parametrize("code", [2, 14, 16554, 121, 17419])
def test_what_is_known_to_be_permanent_is_so_at_once(code):
    assert len(refusal.permanent(bulk_error(code, DUPLICATE), 0.0)) == 2


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (bulk_error(UNKNOWN), 600),
        (bulk_error(UNKNOWN, UNKNOWN + 1, 121), 600),
        (bulk_error(UNKNOWN, DUPLICATE), 60),
        (bulk_error(UNKNOWN, inserted=1), 60),
    ],
)
def test_an_unknown_error_is_permanent_after_minutes_sooner_beside_what_is_stored(error, seconds):
    with pytest.raises(BulkWriteError):
        refusal.permanent(error, seconds - 0.1)
    assert refusal.permanent(error, seconds) == error.details["writeErrors"]


@pytest.mark.parametrize(
    "other",
    [
        AutoReconnect("connection closed"),
        bulk_error(UNKNOWN, concern=True),
        bulk_error(UNKNOWN, 371),
        bulk_error(concern=True),
    ],
)
def test_only_the_time_of_refusals_alone_counts(other):
    now = [0.0]
    refusals = refusal.Refusals(lambda: now[0])
    for now[0] in (0.0, 5.0, 10.0):
        refusals.note(other)
        assert refusals.seconds() == 0.0
    for now[0] in (100.0, 150.0, 160.0):
        refusals.note(bulk_error(UNKNOWN))
    assert refusals.seconds() == 60.0
    refusals.note(other)
    assert refusals.seconds() == 0.0
