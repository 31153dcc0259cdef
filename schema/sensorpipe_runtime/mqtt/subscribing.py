"""Starts and ends subscriptions on a connection."""

import logging
from typing import Final

import mqtt5

from sensorpipe_runtime.mqtt.connection import Connection
from sensorpipe_runtime.mqtt.errors import NoAnswerError, ProtocolError, RefusedError

PACKET_IDS: Final = (65_535, 65_534, 65_533, 1)
"""Packet ids of requests, tried in this order while the broker answers that one is in use.

The broker numbers its messages from 1 on, and some (mochi-mqtt) refuse a request with the id of
a message that a resumed session has in flight. With a Receive Maximum of 65,534 at least one
of the 65,535 ids is free; brokers that reuse the lowest free id never reach the highest.
"""

_ENDED: Final = (
    mqtt5.UnsubAckReasonCode.SUCCESS,
    mqtt5.UnsubAckReasonCode.NO_SUBSCRIPTION_EXISTED,
)

log = logging.getLogger(__name__)


async def subscribe(connection: Connection, patterns: list[str], *, session_present: bool) -> None:
    """Subscribe at QoS 1, without retained messages; raise RefusedError if not allowed.

    If the broker answers that every packet id is in use, a present session keeps the
    subscriptions it has: the next connection can subscribe once messages are acknowledged.
    """
    filters = [
        mqtt5.TopicFilter(
            pattern,
            max_qos=mqtt5.QoS.AT_LEAST_ONCE,
            retain_handling=mqtt5.RetainHandling.SEND_NEVER,
        )
        for pattern in patterns
    ]
    codes = await _subscribed(connection, filters)
    if session_present and mqtt5.SubAckReasonCode.PACKET_ID_IN_USE in codes:
        log.warning("The broker has no free packet id; the session keeps its subscriptions")
        return
    if len(codes) != len(patterns):
        raise ProtocolError(f"the broker answered SUBSCRIBE with {codes}")
    for pattern, code in zip(patterns, codes, strict=True):
        if code != mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE:
            text = f"the broker refused {pattern!r} at QoS 1: {code.name}"
            raise RefusedError(text, code.name)


async def subscribe_if_allowed(
    connection: Connection, patterns: list[str], *, session_present: bool
) -> dict[str, str]:
    """Subscribe as `subscribe`; return the filters that the broker refuses, with its reasons.

    A reason is the name of a reason code, such as `NOT_AUTHORIZED`.
    """
    refused: dict[str, str] = {}
    for pattern in patterns:
        try:
            await subscribe(connection, [pattern], session_present=session_present)
        except RefusedError as error:
            refused[pattern] = error.reason
    return refused


async def watch(connection: Connection, topic: str) -> None:
    """Subscribe at QoS 1, including retained messages; raise RefusedError if not allowed."""
    asked = mqtt5.TopicFilter(topic, max_qos=mqtt5.QoS.AT_LEAST_ONCE)
    codes = await _subscribed(connection, [asked])
    granted = mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE
    if codes not in ([granted], [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_MOST_ONCE]):
        raise RefusedError(f"the broker refused {topic!r}: {codes}")


async def _subscribed(
    connection: Connection, filters: list[mqtt5.TopicFilter]
) -> list[mqtt5.SubAckReasonCode]:
    """Return the reason code for each filter."""
    codes: list[mqtt5.SubAckReasonCode] = []
    for packet_id in PACKET_IDS:
        answer = await connection.ask(mqtt5.SubscribePacket(packet_id, filters).write())
        if not isinstance(answer, mqtt5.SubAckPacket):
            raise ProtocolError(f"the broker answered SUBSCRIBE with {type(answer).__name__}")
        codes = answer.reason_codes
        if mqtt5.SubAckReasonCode.PACKET_ID_IN_USE not in codes:
            break
    return codes


async def unsubscribe(connection: Connection, patterns: list[str]) -> list[str]:
    """End subscriptions; return those that the broker may still have.

    Those are all of them if it does not answer: rumqttd ignores UNSUBSCRIBE.
    """
    codes: list[mqtt5.UnsubAckReasonCode] = []
    for packet_id in PACKET_IDS:
        try:
            answer = await connection.ask(mqtt5.UnsubscribePacket(packet_id, patterns).write())
        except NoAnswerError:
            return patterns
        if not isinstance(answer, mqtt5.UnsubAckPacket):
            raise ProtocolError(f"the broker answered UNSUBSCRIBE with {type(answer).__name__}")
        codes = answer.reason_codes
        if mqtt5.UnsubAckReasonCode.PACKET_ID_IN_USE not in codes:
            break
    if len(codes) != len(patterns):
        raise ProtocolError(f"the broker answered UNSUBSCRIBE with {codes}")
    return [pattern for pattern, code in zip(patterns, codes, strict=True) if code not in _ENDED]
