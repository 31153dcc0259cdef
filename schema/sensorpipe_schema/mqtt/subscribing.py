"""Asks a broker to begin and end subscriptions on a connection, and reads its answers."""

import logging
from typing import Final

import mqtt5

from sensorpipe_schema.mqtt.connection import Connection
from sensorpipe_schema.mqtt.errors import NoAnswerError, ProtocolError, RefusedError

PACKET_IDS: Final = (65_535, 65_534, 65_533, 1)
"""Ids of our requests, tried in this order while the broker says that one is in use.

The broker numbers its messages from 1 on, and some (mochi-mqtt) refuse a request with the id of
a message that a resumed session has in flight. With our Receive Maximum of 65,534 at least one
of the 65,535 ids is free; brokers that reuse the lowest free id never come to the highest.
"""

_ENDED: Final = (
    mqtt5.UnsubAckReasonCode.SUCCESS,
    mqtt5.UnsubAckReasonCode.NO_SUBSCRIPTION_EXISTED,
)

_log = logging.getLogger(__name__)


async def subscribe(connection: Connection, patterns: list[str], *, session_present: bool) -> None:
    """Subscribe at QoS 1 to what is published from now on; raise RefusedError if denied.

    A present session goes on with the subscriptions it has where the broker finds every packet
    id in use: once messages are acknowledged, the next connection can ask again.
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
        _log.warning("The broker has no packet id free; the session goes on as it was")
        return
    if len(codes) != len(patterns):
        raise ProtocolError(f"the broker answered SUBSCRIBE with {codes}")
    for pattern, code in zip(patterns, codes, strict=True):
        if code != mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE:
            raise RefusedError(f"the broker refused {pattern!r} at QoS 1: {code.name}")


async def watch(connection: Connection, topic: str) -> None:
    """Subscribe at QoS 0, to what is retained too; raise RefusedError if denied."""
    asked = mqtt5.TopicFilter(topic, max_qos=mqtt5.QoS.AT_MOST_ONCE)
    codes = await _subscribed(connection, [asked])
    if codes != [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_MOST_ONCE]:
        raise RefusedError(f"the broker refused {topic!r}: {codes}")


async def _subscribed(
    connection: Connection, filters: list[mqtt5.TopicFilter]
) -> list[mqtt5.SubAckReasonCode]:
    """Return what the broker grants of each filter."""
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
    """End subscriptions, those that do not exist included; return what the broker may keep.

    That is all of them where it does not answer: rumqttd ignores UNSUBSCRIBE.
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
