"""Errors that end a run, as only a restart finds out what is durable."""


class LogReplacedError(Exception):
    """Offsets of the compacted topic went back: it was created again, or has lost its end.

    Only a restart finds out what is durable, and whether our fence is.
    """


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
