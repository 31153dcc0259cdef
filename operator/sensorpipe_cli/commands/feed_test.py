"""What a Feed makes of messages: `sensorpipe feed test`."""

import asyncio
import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import mqtt5
import typer
from sensorpipe_runtime.mqtt.connection import KEEP_ALIVE, Connection
from sensorpipe_runtime.mqtt.endpoint import Endpoint
from sensorpipe_runtime.mqtt.errors import MqttError
from sensorpipe_runtime.mqtt.frames import Message
from sensorpipe_runtime.mqtt.subscribing import watch
from sensorpipe_schema.feed.decoder import FeedDecoder, Readings
from sensorpipe_schema.feed.manifest import Feed
from sensorpipe_schema.feed.values import RefusedMessageError
from sensorpipe_schema.manifest_files import SensorFilesError, load_manifests
from sensorpipe_schema.reading import BadReadingError, check_time

from sensorpipe_cli.errors import FAULT, OK, UnusableError
from sensorpipe_cli.terminal_text import printable


def test_message(file: Path, topic: str, payload: str) -> int:
    """Print the readings of a message, or why it has none; return the exit code."""
    feed = next((each for each in _feeds(file) if _takes(each, topic)), None)
    if feed is None:
        typer.echo(f"no Feed in {file} takes the topic {printable(topic)}")
        return FAULT
    return _show(FeedDecoder(feed), topic, payload.encode())


def listen(file: Path, url: str, seconds: float) -> int:
    """Print what the Feeds make of the messages that a broker sends in this time."""
    feeds = _feeds(file)
    try:
        endpoint = Endpoint.parse(url)
        asyncio.run(_listen(feeds, endpoint, seconds))
    except (ValueError, MqttError) as error:
        raise UnusableError([f"--mqtt: {error}"]) from error
    return OK


def lines(found: list[Readings]) -> Iterator[str]:
    """Yield a line for each reading: its topic, value, time and what tells it from others."""
    for readings in found:
        at = datetime.fromtimestamp(readings.ts / 1000, UTC).isoformat(timespec="milliseconds")
        identity = f", seq {readings.seq} of {readings.src}" if readings.src is not None else ""
        for sensor, value in readings.values:
            yield f"  {readings.facility}/{sensor} = {value:g} at {at}{printable(identity)}"


def _feeds(file: Path) -> list[Feed]:
    """Return the Feeds in a file or folder; raise UnusableError."""
    try:
        feeds = load_manifests([file]).feeds
    except SensorFilesError as error:
        raise UnusableError([str(problem) for problem in error.problems]) from error
    if not feeds:
        raise UnusableError([f"{file}: holds no Feed"])
    return feeds


def _takes(feed: Feed, topic: str) -> bool:
    return feed.spec.topic.match(topic) is not None


def _show(decoder: FeedDecoder, topic: str, payload: bytes) -> int:
    """Print what a Feed makes of one message, as the compactor takes it; return the exit code."""
    now_ms = time.time_ns() // 1_000_000
    try:
        found = decoder.decode(topic, payload, now_ms)
    except RefusedMessageError as error:
        typer.echo(f"{printable(topic)}: refused, {printable(str(error))}")
        return FAULT
    typer.echo(f"{printable(topic)}: {'readings' if found else 'none of the named values'}")
    code = OK
    for readings, line in ((each, line) for each in found for line in lines([each])):
        typer.echo(line)
        try:
            check_time(readings.ts, now_ms)
        except BadReadingError as error:
            typer.echo(f"    refused when it is received now, {error}")
            code = FAULT
    return code


async def _listen(feeds: list[Feed], endpoint: Endpoint, seconds: float) -> None:
    decoders = [FeedDecoder(feed) for feed in feeds]
    connection: Connection | None = None

    def take(messages: list[Message]) -> None:
        for message in messages:
            if message.packet_id is not None and connection is not None:
                connection.write(mqtt5.PubAckPacket(message.packet_id).write())
            for decoder in decoders:
                if _takes(decoder.feed, message.topic):
                    _show(decoder, message.topic, message.payload)

    connection = await Connection.open(endpoint, take, lambda _: None)
    try:
        await connection.handshake(_connect_packet(endpoint))
        for feed in feeds:
            await watch(connection, feed.spec.topic.filter)
        typer.echo(
            f"listening for {seconds:g} s to {', '.join(f.spec.topic.filter for f in feeds)}"
        )
        await asyncio.wait([connection.ended], timeout=seconds)
        if connection.ended.done():
            connection.ended.result()
    finally:
        connection.abort()


def _connect_packet(endpoint: Endpoint) -> mqtt5.ConnectPacket:
    password = endpoint.password
    return mqtt5.ConnectPacket(
        f"sensorpipe-feed-test-{secrets.token_hex(8)}",
        username=endpoint.username,
        password=password.encode() if password is not None else None,
        keep_alive=KEEP_ALIVE,
        clean_start=True,
    )
