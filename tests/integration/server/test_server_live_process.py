"""Live events of the program itself: from Kafka to the client, across a restart."""

import asyncio

from aiokafka import AIOKafkaProducer
from sensorpipe_schema.names import COMPACTED
from support.live_streams import listening
from support.server_parts import one
from support.server_process import Server
from support.services import running


async def test_a_restart_of_the_server_loses_and_repeats_nothing(tmp_path):
    server = Server(tmp_path, live=True)
    async with (
        running(server.kafka),
        running(server.mongod),
        AIOKafkaProducer(bootstrap_servers=server.bootstrap, acks="all") as producer,
    ):

        async def send(*numbers: int) -> None:
            for number in numbers:
                message = one([(number, 1.0)], window=number, number=number)
                await producer.send_and_wait(COMPACTED, message, key=b"facility_1")

        starts = []
        async with running(server.child()) as program:
            await server.ready()
            async with listening(server.port) as stream:
                await send(1, 2)
                starts += [each.data["window"]["start_time"] for each in await stream.events(2)]
                last_id = stream.last_id
                await program.stop(30)
                assert program.returncode == 0
                assert "killing" not in program.log.read_text()
        await send(3, 4)
        async with running(server.child()):
            await server.ready()
            async with listening(server.port, last_id=last_id) as stream:
                await send(5)
                starts += [each.data["window"]["start_time"] for each in await stream.events(3)]
    assert starts == [f"2024-11-14T16:00:{second}0Z" for second in range(1, 6)]


async def test_the_program_ends_at_once_though_clients_listen(tmp_path):
    server = Server(tmp_path, live=True)
    async with running(server.kafka), running(server.mongod), running(server.child()) as program:
        await server.ready()
        async with listening(server.port) as stream:
            stopping = asyncio.create_task(program.stop(30))
            ended = asyncio.create_task(stream.event())
            await asyncio.wait({ended})
            assert isinstance(ended.exception(), EOFError)
            assert await stopping == 0
    assert "graceful" not in program.log.read_text()  # uvicorn did not have to end it
