"""A page of a few sensors is what the page of all says of them, and costs no more than they do."""

import pytest
from sensorpipe_schema.partial import encode
from support.server_parts import one, partial, store, summary

pytest_plugins = ["support.server_fixtures"]

SENSORS = 200


def itemized(readings, *, window, number):
    made = partial({"a": summary(readings), "z": summary(readings)}, window=window, number=number)
    made.itemized = True
    for each in made.sensors.values():
        each.sources = {"run": [(seq, seq) for seq, _ in readings]}
        each.values = {"run": [value for _, value in readings]}
    return encode(made)


@pytest.mark.parametrize("names", [["a"], ["b"], ["a", "b"], ["b", "c", "nothing"]])
async def test_a_page_of_some_sensors_is_the_page_of_all_without_the_others(db, client, names):
    both = {"a": summary([(1, 1.0), (2, 5.0)]), "b": summary([(1, 2.0)])}
    await store(
        db,
        encode(partial(both)),
        one([(3, 3.0)], sensor="a", number=2),
        one([(4, 4.0)], sensor="b", window=1, number=3),
        one([(5, 5.0)], sensor="c", window=2, number=4),
        itemized([(4, 4.0), (6, 6.0)], window=3, number=5),
        one([(4, 4.0)], sensor="a", window=3, number=6),
    )
    whole = (await client.get("/api/sensors/facility_1")).json()["data"]
    assert len(whole) == 4
    expected = [
        {key: value for key, value in item.items() if "_" not in key or is_of(key, names)}
        for item in whole
        if any(f"count_{name}" in item for name in names)
    ]
    page = await client.get(f"/api/sensors/facility_1?sensors={','.join(names)}")
    assert page.json()["data"] == expected


def is_of(key, names):
    return key in ("facility_name", "received_at") or key.partition("_")[2] in names


async def test_mongodb_sends_the_sensors_that_are_shown(db, client):
    many = {f"sensor_{number}": summary([(1, 1.0)]) for number in range(SENSORS)}
    await store(db, encode(partial(many)))
    await db.command("profile", 2)
    for query in ("", "?sensors=sensor_7"):
        assert (await client.get(f"/api/sensors/facility_1{query}")).status_code == 200
    await db.command("profile", 0)
    finds = {"op": "query", "command.projection.received_at": 1}, {"command.projection.partial": 0}
    few, whole = [await db["system.profile"].find_one(each) for each in finds]
    assert whole["responseLength"] > 10_000
    assert few["responseLength"] < 500
