"""What MQTT 5 adds, through a real mosquitto, and that all else works without it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from aiomqtt import ProtocolVersion
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
from structlog.testing import capture_logs

from assistant.mqtt import link
from assistant.mqtt.commands import Say
from assistant.mqtt.connection import Dialect
from assistant.mqtt.envelope import Envelope
from assistant.mqtt.payloads import EventType
from assistant.mqtt.requests import ListPlugins, PluginsPart, PluginsResponse
from tests.support.broker import Mosquitto
from tests.support.bus import (
    HeldClock,
    connected,
    disconnected,
    heard,
    reconnected,
    reply,
    running_bus,
    until,
)

ROOT = "assistant/kitchen"
V5 = ProtocolVersion.V5


def about(message: aiomqtt.Message) -> Envelope:
    return Envelope.of_properties(message.properties)


async def test_replies_and_events_say_what_they_are_and_how_long_they_count(
    broker: Mosquitto, state_folder: Path
):
    settings = broker.settings | {"outbox_age_s": 90.0}
    async with broker.client(protocol=V5) as hub, running_bus(settings, state_folder) as bus:
        await hub.subscribe([(f"{ROOT}/reply", 1), (f"{ROOT}/event", 1)])
        bus.reply(reply(1))
        bus.event(EventType.WAKE, "turn-1")
        said = {message.topic.value: about(message) for message in await heard(hub, 2)}
    for name, envelope in said.items():
        schema = f"{name.removeprefix(ROOT + '/')}/1"
        assert envelope.user == (("schema", schema), ("turn", "turn-1"))
        assert envelope.content_type == "application/json"
        assert 80 < (envelope.expiry_s or 0) <= 90


@pytest.mark.parametrize("age_s", [1e10, float("inf")])
async def test_a_reply_that_counts_for_ever_counts_as_long_as_can_be_said(
    age_s: float, broker: Mosquitto, state_folder: Path
):
    settings = broker.settings | {"outbox_age_s": age_s}
    async with broker.client(protocol=V5) as hub, running_bus(settings, state_folder) as bus:
        await hub.subscribe(f"{ROOT}/reply", qos=1)
        bus.reply(reply(1))
        [said] = await heard(hub)
    assert 2**32 - 100 < (about(said).expiry_s or 0) < 2**32


async def test_the_time_in_the_outbox_counts(broker: Mosquitto, state_folder: Path):
    clock = HeldClock()
    async with running_bus(broker.settings, state_folder, clock=clock) as bus:
        await connected(bus)
        broker.kill()
        bus._wall_time = bus._outbox._wall_time = lambda: 1000.0
        bus.reply(reply(1))
        bus._outbox._wall_time = lambda: 1000.0 + 3000
        broker.start()
        async with broker.client(protocol=V5) as hub:
            await hub.subscribe(f"{ROOT}/reply", qos=1)
            clock.release.set()
            [late] = await heard(hub)
    assert 590 < (about(late).expiry_s or 0) <= 600


async def test_an_expired_reply_is_counted_and_not_sent(broker: Mosquitto, state_folder: Path):
    clock = HeldClock()
    async with running_bus(broker.settings, state_folder, clock=clock) as bus:
        await connected(bus)
        broker.kill()
        bus._outbox._wall_time = lambda: 1000.0
        bus.reply(reply(1))
        bus._outbox._wall_time = lambda: 1000.0 + 3601
        broker.start()
        async with broker.hub(f"{ROOT}/reply") as hub:
            clock.release.set()
            await connected(bus)
            bus.reply(reply(2))
            assert json.loads((await heard(hub))[0].payload)["turn"] == "turn-2"
        assert bus.counters.expired == 1


async def test_a_request_is_answered_on_its_own_topic_with_its_correlation(
    broker: Mosquitto, state_folder: Path
):
    async with broker.client(protocol=V5) as hub, running_bus(broker.settings, state_folder) as bus:
        await connected(bus)
        await hub.subscribe([("my/answers", 1), (f"{ROOT}/response/#", 1)])
        for wanted in ("my/answers", None):
            asked = Envelope(respond_to=wanted, correlation=b"\x00\x07").properties()
            name = f"{ROOT}/request/plugins"
            await hub.publish(name, b'{"transaction": 7}', qos=1, properties=asked)
            inquiry = await anext(bus.requests())
            assert inquiry.request == ListPlugins(transaction=7)
            bus.respond(inquiry.whom, PluginsResponse(data=PluginsPart(plugins=(), problems=())))
            [response] = await heard(hub)
            assert response.topic.value == (wanted or f"{ROOT}/response/plugins")
            assert about(response).correlation == b"\x00\x07"
            assert json.loads(response.payload)["transaction"] == 7


async def test_a_plugins_command_expires_and_a_retained_value_does_not(
    broker: Mosquitto, state_folder: Path
):
    async with broker.client(protocol=V5) as hub, running_bus(broker.settings, state_folder) as bus:
        await connected(bus)
        await hub.subscribe("lamp/#", qos=1)
        await bus.publish("lamp/set", "ON")
        await bus.publish("lamp/state", "ON", retain=True)
        command, value = await heard(hub, 2)
    assert about(command).expiry_s == 30
    assert about(value).expiry_s is None


async def test_a_short_absence_is_not_told_and_its_commands_are_kept(
    broker: Mosquitto, state_folder: Path
):
    clock = HeldClock()
    async with (
        broker.hub(f"{ROOT}/status") as hub,
        running_bus(broker.settings, state_folder, clock=clock) as bus,
    ):
        await until(hub, b"online")
        bus._link._client._client.socket().shutdown(socket.SHUT_RDWR)  # as a lost radio link would
        await disconnected(bus)
        await hub.publish(f"{ROOT}/say", "Still there?", qos=1)
        clock.release.set()
        assert await asyncio.wait_for(anext(bus.commands()), 5) == Say(text="Still there?")
        await connected(bus)
        [again] = await heard(hub)
    assert again.payload == b"online"


@pytest.mark.parametrize("protocol", ["auto", "5", "3.1.1"])
async def test_the_setting_decides_the_version(
    broker: Mosquitto, state_folder: Path, protocol: str
):
    settings = broker.settings | {"protocol": protocol}
    async with running_bus(settings, state_folder) as bus:
        await connected(bus)
        spoken = bus._link._client.protocol
        broker.restart()
        await reconnected(bus)
    assert spoken == (ProtocolVersion.V311 if protocol == "3.1.1" else V5)


@asynccontextmanager
async def older(broker: Mosquitto) -> AsyncIterator[int]:
    """A broker that refuses MQTT 5 as the older ones do; gives its port."""

    async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await reader.read(1 << 16)
        level = hello[hello.index(b"MQTT") + 4]
        if level == ProtocolVersion.V5:
            writer.write(b"\x20\x02\x00\x01")
            writer.close()
            return
        inside, within = await asyncio.open_connection("127.0.0.1", broker.port)
        within.write(hello)
        await asyncio.gather(_pour(reader, within), _pour(inside, writer))

    async with await asyncio.start_server(welcome, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while some := await reader.read(1 << 16):
        writer.write(some)
    writer.close()


async def test_auto_finds_the_version_of_a_broker_that_knows_only_the_older(
    broker: Mosquitto, state_folder: Path
):
    async with older(broker) as port:
        with capture_logs() as logs:
            async with running_bus({"host": "127.0.0.1", "port": port}, state_folder) as bus:
                assert await asyncio.wait_for(bus.first_connect(), 2) is None
                assert bus._link._client.protocol is ProtocolVersion.V311
    assert [log["log_level"] for log in logs] == ["info"]


def refusal(code: int) -> MqttConnectError:
    return MqttConnectError(ReasonCode(PacketTypes.CONNACK, identifier=code))


@pytest.mark.parametrize(
    ("wanted", "errors", "then"),
    [
        ("auto", [], V5),
        ("auto", [refusal(132)], ProtocolVersion.V311),
        ("auto", [aiomqtt.MqttError("Operation timed out")], ProtocolVersion.V311),
        ("auto", [aiomqtt.MqttError("Operation timed out")] * 2, V5),
        ("auto", [refusal(135), aiomqtt.MqttError("refused")], V5),
        ("5", [refusal(132)], V5),
        ("3.1.1", [aiomqtt.MqttError("Operation timed out")], ProtocolVersion.V311),
    ],
)
def test_auto_changes_only_when_the_version_may_be_the_reason(
    wanted: str, errors: list[Exception], then: ProtocolVersion
):
    dialect = Dialect(wanted)
    for error in errors:
        dialect.failed(error)
    assert dialect.version is then


async def test_a_broker_that_refuses_every_version_is_tried_with_each_once(
    state_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    tried: list[ProtocolVersion] = []

    async def connect(*given: Any) -> Exception:
        tried.append(given[2])
        return refusal(132)

    monkeypatch.setattr(link, "connect", connect)
    async with running_bus({"port": 1}, state_folder, clock=HeldClock()) as bus:
        reason = await asyncio.wait_for(bus.first_connect(), 5)
    assert "does not speak" in (reason or "")
    assert tried == [V5, ProtocolVersion.V311]


def test_a_version_that_has_worked_is_kept():
    dialect = Dialect("auto")
    dialect.succeeded()
    dialect.failed(aiomqtt.MqttError("Operation timed out"))
    assert dialect.version is V5


@pytest.mark.parametrize(
    "envelope",
    [
        Envelope(),
        Envelope.of_json("reply", "turn-1"),
        Envelope(None, "audio/ogg", (("a", "ü"),), "an/answer", b"\xff\x00"),
    ],
)
def test_an_envelope_survives_the_outbox(envelope: Envelope):
    assert Envelope.load(envelope.dump(), expiry_s=None) == envelope


def test_an_envelope_survives_the_wire():
    sent: Any = Envelope(7.2, "audio/ogg", (("a", "b"), ("a", "c")), "an/answer", b"\xff")
    arrived = Envelope.of_properties(sent.properties())
    assert arrived.expiry_s == 8
    assert (arrived.get("a"), arrived.get("z")) == ("b", None)
    assert (arrived.respond_to, arrived.correlation) == ("an/answer", b"\xff")
