"""Sources whose gaps mean nothing: their `seq` tell the readings of a window apart, no more."""

from dataclasses import replace

from sensorpipe_schema.compacted_reading_pb2 import CompactedReading
from sensorpipe_schema.partial import encode, read
from sensorpipe_server.storage.documents import Document, WindowKey, document
from sensorpipe_server.storage.fold import fold
from sensorpipe_server.storage.rollups.folding import folding
from sensorpipe_server.storage.rollups.totals import rollup_of_windows
from sensorpipe_server.storage.summaries import moments_of, only_interval, sources_of
from support.server_parts import NOW, T0, partial, summary

KEY = WindowKey("facility_1", T0, 10_000)


def stored(seqs: list[int], number: int, *, itemized: bool = False) -> Document:
    """Return the document of a partial of such a source, whose values are its `seq`."""
    one = summary([(seq, float(seq)) for seq in seqs], "device")
    one.sparse = ["device"]
    if itemized:
        one.values = {"device": [float(seq) for seq in sorted(seqs)]}
    made = partial({"temperature": one, "humidity": summary([(number, 1.0)])}, number=number)
    if itemized:
        made = replace(made, sensors={"temperature": one}, itemized=True)
    data = encode(made)
    return document(read(data), data, NOW)


def counted(*documents: Document) -> tuple[int, float]:
    """Return number and highest value of the window's readings of the sensor."""
    window = fold(KEY, documents)
    assert window is not None
    moments = moments_of(window.sensors["temperature"])
    return moments.count, moments.max


def test_a_reading_in_two_partials_counts_once() -> None:
    assert counted(stored([100, 500], 1), stored([500, 900], 2, itemized=True)) == (3, 900)


def test_and_so_it_does_once_the_partials_are_put_together() -> None:
    parts = [stored([100 * n, 100 * n + 7], n) for n in range(1, 5)]
    found = folding(KEY, parts).written
    assert found is not None
    late = stored([107, 400, 999], 9, itemized=True)
    assert counted(found, late) == counted(*parts, late) == (9, 999)
    (temperature,) = (
        each
        for each in CompactedReading.FromString(found["partial"]).sensors
        if each.sensor == "temperature"
    )
    assert [(source.src, source.sparse) for source in temperature.sources] == [("device", True)]


def test_nothing_is_lost_between_its_numbers() -> None:
    window = fold(KEY, [stored([100, 500], 1), stored([900], 2, itemized=True)])
    assert window is not None
    for each in window.sensors["temperature"]:
        assert sources_of(each) == ([], 0)
        assert only_interval(each) is None
    rollup = rollup_of_windows([window])
    sources = {entry.summary.sensor: len(entry.summary.sources) for entry in rollup.sensors}
    assert sources == {"humidity": 1, "temperature": 0}, "they would not fit a day's rollup"
