"""The broker for machines that have none."""

import asyncio
import json
import socket
import time
from pathlib import Path

import aiomqtt
import pytest

from assistant.errors import UserError
from assistant.mqtt.commands import Say
from assistant.mqtt.embedded import LOOPBACK, EmbeddedBroker, maybe_embedded
from assistant.settings import MqttSettings
from tests.support.bus import connected, heard, reply, running_bus, until

ROOT = "assistant/kitchen"


async def test_the_same_bus_works_on_it(state_folder: Path, caplog: pytest.LogCaptureFixture):
    asked = MqttSettings(host="embedded", port=0)
    async with maybe_embedded(asked) as settings:
        assert settings.port is not None
        async with (
            aiomqtt.Client(settings.host, settings.port) as hub,
            running_bus(settings.model_dump(), state_folder) as bus,
        ):
            await connected(bus)
            await hub.subscribe([(f"{ROOT}/reply", 1), (f"{ROOT}/status", 1)])
            await until(hub, b"online")
            bus.reply(reply(1))
            assert json.loads((await heard(hub))[0].payload)["turn"] == "turn-1"
            await hub.publish(f"{ROOT}/say", "hello", qos=1)
            assert await asyncio.wait_for(anext(bus.commands()), 5) == Say(text="hello")
    assert caplog.messages == []


_CONNECT = b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04tess"


async def test_it_stops_at_once_with_clients_connected():
    async with EmbeddedBroker() as broker:
        _, silent = await asyncio.open_connection(LOOPBACK, broker.port)
        answers, client = await asyncio.open_connection(LOOPBACK, broker.port)
        client.write(_CONNECT)
        assert await answers.readexactly(4) == b"\x20\x02\x00\x00"
        began = time.monotonic()
    assert time.monotonic() - began < 1
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect((LOOPBACK, broker.port))
    silent.close()
    client.close()


async def test_a_port_that_is_taken_is_named():
    with socket.socket() as squatter:
        squatter.bind((LOOPBACK, 0))
        squatter.listen()
        port = squatter.getsockname()[1]
        with pytest.raises(UserError, match=f"{port}.*set mqtt.port"):
            async with EmbeddedBroker(port):
                pass


async def test_another_host_is_left_alone():
    asked = MqttSettings(host="hub")
    async with maybe_embedded(asked) as settings:
        assert settings is asked


async def test_nobody_is_sent_what_is_retained_for_others():
    async with EmbeddedBroker() as broker, aiomqtt.Client(LOOPBACK, broker.port) as everything:
        await everything.subscribe("#", qos=1)
        await everything.publish(f"{ROOT}/info", "{}", qos=1, retain=True)
        await heard(everything)
        async with aiomqtt.Client(LOOPBACK, broker.port) as one_answer:
            await one_answer.subscribe(f"{ROOT}/response/ask", qos=1)
            await everything.publish(f"{ROOT}/response/ask", "yes", qos=1)
            [answer] = await heard(one_answer)
        async with aiomqtt.Client(LOOPBACK, broker.port) as late:
            await late.subscribe(f"{ROOT}/info", qos=1)
            [info] = await heard(late)
    assert (answer.topic.value, answer.payload) == (f"{ROOT}/response/ask", b"yes")
    assert (info.topic.value, info.payload, info.retain) == (f"{ROOT}/info", b"{}", True)
