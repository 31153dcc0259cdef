"""Which records of a list are durable, too large or still to be sent, over all attempts: pure."""

from collections.abc import Iterable, Mapping, Sequence

from sensorpipe_compactor.output.records import Headers, Record


class UncertainAppendError(Exception):
    """Kafka refuses a record that an earlier failed attempt may have written.

    Only a restart finds out whether it is durable; until then its readings must not be written
    in any other record.
    """

    def __init__(self) -> None:
        super().__init__(
            "Kafka refuses a record as too large that may have been written in an attempt before; "
            "a restart finds out"
        )


class Sending:
    """Records for partitions of a topic; a record is named by its place in the list.

    A record is written with all others of its batch, or none of them is. What is durable stays
    so when an attempt fails: the next one sends the others only.
    """

    def __init__(
        self,
        records: Sequence[Record],
        located: Mapping[int, Sequence[int]],
        more_headers: Mapping[int, Headers] | None = None,
    ) -> None:
        self.records = records
        self.more_headers = more_headers or {}
        """By partition: headers that its records get besides their own."""
        self.durable: dict[int, list[tuple[int, int]]] = {}
        """By partition: the first offset and the number of records of each durable batch."""
        self.too_large: set[int] = set()
        """Records that Kafka refused as too large, alone or because of those beside them, since
        `begin_round`. They are certain not to be written."""
        self.refused: set[int] = set()
        """Records that are not sent again."""
        self._located = located
        self._settled: set[int] = set()
        self._uncertain: set[int] = set()
        """Records that were sent, without an answer so far."""

    @property
    def is_done(self) -> bool:
        """Whether each record is durable or refused."""
        return len(self._settled) == len(self.records)

    @property
    def left(self) -> dict[int, list[int]]:
        """By partition: the records that are neither durable nor refused, if there are any."""
        left = {
            partition: [place for place in places if place not in self._settled]
            for partition, places in self._located.items()
        }
        return {partition: places for partition, places in left.items() if places}

    def begin_round(self) -> None:
        """Take note that all that is left is sent, in batches of the size that is known now."""
        self.too_large.clear()

    def sent(self, batch: Sequence[int]) -> bool:
        """Take note that a batch goes out; return whether a record may be written already."""
        is_repeated = not self._uncertain.isdisjoint(batch)
        self._uncertain.update(batch)
        return is_repeated

    def written(self, partition: int, batch: Sequence[int], offset: int) -> None:
        """Take note that a batch is durable, with its first record at an offset."""
        self._settled.update(batch)
        self.durable.setdefault(partition, []).append((offset, len(batch)))

    def was_too_large(self, batch: Sequence[int], *, is_repeated: bool) -> None:
        """Take note that Kafka refused a batch as too large.

        Raises UncertainAppendError if a record of it may have been written before.
        """
        if is_repeated:
            raise UncertainAppendError
        self._uncertain.difference_update(batch)
        self.too_large.update(batch)

    def refuse(self, places: Iterable[int]) -> None:
        """Take note of records that are too large by themselves: they are not sent again."""
        self.refused.update(places)
        self._settled |= self.refused
