"""A CSV of `/api/series` in pandas, polars and a spreadsheet: the right types and rows."""

import asyncio
import shutil
from xml.etree import ElementTree as ET

import httpx2
import pandas as pd
import polars as pl
import pytest
from sensorpipe_server.api.routes import application
from sensorpipe_server.storage.documents import date
from support.api_clients import served
from support.server_parts import T0, one, store

pytest_plugins = ["support.server_fixtures"]

SPREADSHEET = shutil.which("soffice") or ""
SECONDS = 120

TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}p"
OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"


@pytest.fixture
async def write(db, tmp_path):
    """Write a file with two windows, the second with a second sensor."""
    await store(db, one([(1, 1.5), (2, 2.5)], window=1), one([(3, -3e-7)], window=2, number=2))
    await store(db, one([(1, 50.0)], window=2, sensor="humidity", number=3))
    begin, end = (date(T0 + ms).strftime("%Y-%m-%dT%H:%M:%SZ") for ms in (0, 60_000))
    asked = f"/api/series?from={begin}&to={end}&every=10s&format="

    async def written(form):
        async with served(application(db, page_limit=20)) as url, httpx2.AsyncClient() as client:
            answer = await client.get(url + asked + form)
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"] == 'attachment; filename="series.csv"'
        found = tmp_path / "series.csv"
        found.write_bytes(answer.content)
        return found

    return written


TIMES = ["2024-11-14T16:00:10Z", "2024-11-14T16:00:20Z", "2024-11-14T16:00:20Z"]
SENSORS = ["temperature", "humidity", "temperature"]
AVERAGES = [2.0, 50.0, -3e-7]


async def test_pandas(write):
    frame = pd.read_csv(await write("csv"), parse_dates=["time"])
    assert frame["time"].tolist() == [pd.Timestamp(time) for time in TIMES]
    assert str(frame["time"].dt.tz) == "UTC"
    assert frame["sensor"].tolist() == SENSORS
    assert frame["avg"].tolist() == AVERAGES
    assert [str(frame[name].dtype) for name in ("avg", "min", "max", "count", "complete")] == [
        "float64", "float64", "float64", "int64", "bool"
    ]  # fmt: skip


async def test_polars(write):
    frame = pl.read_csv(await write("csv"), try_parse_dates=True)
    kinds = {name: str(kind) for name, kind in frame.schema.items()}
    assert kinds["time"].startswith("Datetime(")
    assert frame["time"].dt.strftime("%Y-%m-%dT%H:%M:%SZ").to_list() == TIMES
    assert frame["avg"].to_list() == AVERAGES
    assert [kinds[name] for name in ("avg", "count", "complete")] == ["Float64", "Int64", "Boolean"]


@pytest.mark.skipif(
    not SPREADSHEET, reason="needs LibreOffice: apt-get install libreoffice-calc-nogui"
)
async def test_libreoffice(write, tmp_path):
    """With what its import dialog proposes: comma, quotes, UTF-8, recognize special numbers."""
    path = await write("spreadsheet")
    process = await asyncio.create_subprocess_exec(
        SPREADSHEET, f"-env:UserInstallation=file://{tmp_path}/profile", "--headless",
        "--infilter=CSV:44,34,76,1,,1033,false,true", "--convert-to", "fods", str(path),
        "--outdir", str(tmp_path),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    assert process.returncode == 0, output
    rows = rows_of(ET.parse(tmp_path / "series.fods").getroot())
    assert [value for value, _ in rows[0]] == [
        "time_utc", "facility", "sensor", "avg", "min", "max", "count", "complete"
    ]  # fmt: skip
    assert [row[0] for row in rows[1:]] == [(time[:-1], "date") for time in TIMES]
    assert [row[2] for row in rows[1:]] == [(sensor, "string") for sensor in SENSORS]
    assert [(float(row[3][0]), row[3][1]) for row in rows[1:]] == [
        (average, "float") for average in AVERAGES
    ]
    assert [row[6] for row in rows[1:]] == [("2", "float"), ("1", "float"), ("1", "float")]
    assert [row[7] for row in rows[1:]] == [("true", "boolean")] * 3


def rows_of(document):
    """Return the cells of the rows of a flat OpenDocument spreadsheet: value and type."""
    found = []
    for row in document.iter(f"{TABLE}table-row"):
        cells = [
            cell_of(cell)
            for cell in row.iter(f"{TABLE}table-cell")
            for _ in range(int(cell.get(f"{TABLE}number-columns-repeated", "1")))
        ]
        if any(value for value, _ in cells):
            found.append(cells)
    return found


def cell_of(cell):
    kind = cell.get(f"{OFFICE}value-type", "")
    names = {"float": "value", "date": "date-value", "boolean": "boolean-value"}
    if kind in names:
        return cell.get(OFFICE + names[kind]), kind
    return "".join(text.text or "" for text in cell.iter(TEXT)), kind
