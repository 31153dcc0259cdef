"""The errors of the client; no other error leaves it, except ValueError for wrong arguments."""

from collections.abc import Sequence


class ClientError(Exception):
    """A request got no usable answer; the message has the URL and the reason."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"{url}: {reason}")
        self.url = url
        self.reason = reason


class ConnectionFailedError(ClientError):
    """The server cannot be reached, or the connection ended before its answer did."""


class AnswerError(ClientError):
    """The answer is not that of a sensorpipe server."""


class ApiError(ClientError):
    """The server answered with an error: its status, detail and, if several, all problems."""

    def __init__(self, url: str, status: int, detail: str, errors: Sequence[str] = ()) -> None:
        super().__init__(url, f"{status} {detail}".rstrip())
        self.status = status
        self.detail = detail
        self.errors = tuple(errors) or ((detail,) if detail else ())
        """All problems of the request, at least `detail`."""
