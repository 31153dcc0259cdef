"""The units that Feeds name, from partials to the API."""

from sensorpipe_schema.partial import encode
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.store import Store
from support.server_parts import NOW, batch_of, client_of, partial, summary

pytest_plugins = ["support.server_fixtures"]


def message(facility: str, units: dict[str, str], number: int = 1, window: int = 0) -> bytes:
    """Return the message of a partial with these units, and one sensor without."""
    sensors = {name: summary([(number, 1.0)]) for name in (*units, "other")}
    for name, unit in units.items():
        sensors[name].unit = unit
    return encode(partial(sensors, facility=facility, number=number, window=window))


async def listed(client):
    answer = (await client.get("/api/facilities")).json()
    return {each["facility_name"]: each["units"] for each in answer["data"]}


async def of_series(client, query):
    return (await client.get(f"/api/series?from=2024-11-14&to=2024-11-15&{query}")).json()["units"]


async def test_units_are_listed_and_the_newest_ones_count(db):
    store = Store(db)

    async def put(*messages: bytes) -> None:
        assert not (await store.write(batch_of(*messages, received_at=NOW).partials)).refused

    async with client_of(db) as client:
        await put(message("a", {"t": "°C", "p": "hPa"}), message("b", {"t": "°F"}))
        await put(message("c", {}))
        assert await listed(client) == {"a": {"t": "°C", "p": "hPa"}, "b": {"t": "°F"}, "c": {}}
        await put(message("a", {"t": "K"}, 2), message("a", {}, 3))
        assert (await listed(client))["a"] == {"t": "K", "p": "hPa"}


async def test_a_series_has_the_units_in_which_its_facilities_agree(db):
    some = message("a", {"t": "°C", "p": "hPa"}), message("b", {"t": "°F", "p": "hPa"})
    await Store(db).write(batch_of(*some, received_at=NOW).partials)
    async with client_of(db) as client:
        assert await of_series(client, "facility=a") == {"p": "hPa", "t": "°C"}
        assert await of_series(client, "facility=a,b") == {"p": "hPa"}
        assert await of_series(client, "facility=b&sensors=t") == {"t": "°F"}
        assert await of_series(client, "facility=b&sensors=other") == {}


async def test_units_are_noted_again_where_the_list_was_dropped(db):
    await Store(db).write(batch_of(message("a", {"t": "°C"}), received_at=NOW).partials)
    await database.facilities(db).drop()
    again = batch_of(message("a", {"t": "°C"}, 2), received_at=NOW).partials
    await Store(db).write(again)
    async with client_of(db) as client:
        assert await listed(client) == {"a": {"t": "°C"}}


async def test_a_unit_that_is_too_long_is_cut_and_foreign_text_stays_text(db):
    units = {"t": "x" * 40, "p": '<img src=x onerror="alert(1)">'}
    await Store(db).write(batch_of(message("a", units), received_at=NOW).partials)
    async with client_of(db) as client:
        assert await listed(client) == {"a": {"t": "x" * 32, "p": units["p"]}}
