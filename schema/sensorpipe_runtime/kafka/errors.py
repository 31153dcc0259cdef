"""Explains errors of Kafka: what is wrong, and what to check."""

import ssl
from typing import Final

from aiokafka.conn import create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InvalidTimestampError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)

from sensorpipe_runtime.kafka.client import KafkaSettings, MissingTopicsError

_TRY_MS: Final = 5_000
_DENIED: Final = (TopicAuthorizationFailedError, GroupAuthorizationFailedError)


async def explain(settings: KafkaSettings, error: BaseException) -> str:
    """Return what is wrong, with user and host, and what to check; never the password."""
    if isinstance(error, MissingTopicsError):
        return str(error.args[0])
    text = f"{error!r} {error.__cause__!r}"
    if any(denied.__name__ in text for denied in _DENIED):
        return f"{_who(settings)} is not authorized: check its ACLs ({error})"
    if isinstance(error, ClusterAuthorizationFailedError):
        return f"{_who(settings)} is not authorized in the cluster: check its ACLs ({error})"
    if isinstance(error, InvalidTimestampError):
        return (
            f"Kafka at {settings.bootstrap} refuses the record's timestamp: the clocks of this "
            "machine and of the broker differ by more than the topic's message.timestamp limits "
            "allow; check both clocks"
        )
    if isinstance(error, KafkaConnectionError):
        # the client only logs why it could not connect
        return await _connection_problem(settings) or repr(error)
    return repr(error)


async def _connection_problem(settings: KafkaSettings) -> str | None:
    """Connect once, without a client, and return why that fails; None if it does not."""
    host, _, port = settings.bootstrap.partition(",")[0].strip().rpartition(":")
    host = host.strip("[]")  # of an IPv6 address
    try:
        options = settings.client_options()
        del options["bootstrap_servers"]
        connection = await create_conn(host, int(port), request_timeout_ms=_TRY_MS, **options)
    except (SaslAuthenticationFailed, AuthenticationFailedError) as error:
        return (
            f"{_who(settings)} is refused: check SENSORPIPE_KAFKA_USERNAME and "
            f"SENSORPIPE_KAFKA_PASSWORD, and restart if they have changed ({error})"
        )
    except UnsupportedSaslMechanismError as error:
        return f"{_who(settings)} cannot log in: check SENSORPIPE_KAFKA_MECHANISM ({error})"
    except ssl.SSLError as error:
        return (
            f"the certificate of Kafka at {settings.bootstrap} is not accepted: check "
            f"SENSORPIPE_KAFKA_SECURITY and SENSORPIPE_KAFKA_CA_FILE ({error})"
        )
    except (KafkaError, OSError, TimeoutError, ValueError) as error:
        return (
            f"Kafka at {settings.bootstrap} cannot be reached with {settings.security}: check "
            f"SENSORPIPE_KAFKA_BOOTSTRAP and SENSORPIPE_KAFKA_SECURITY ({error!r})"
        )
    connection.close()
    return None


def _who(settings: KafkaSettings) -> str:
    user = f"the user {settings.username!r}" if settings.username else "a client without a user"
    return f"Kafka at {settings.bootstrap}: {user}"
