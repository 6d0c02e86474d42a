"""A broker that is killed, frozen and restarted; with MQTT 3.1.1 and 5, open and with TLS."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import pytest

from assistant.clock import SystemClock
from assistant.endurance import drain
from assistant.mqtt.commands import Say
from assistant.mqtt.payloads import EventType
from assistant.mqtt.window import IN_FLIGHT
from assistant.settings import MqttSettings
from tests.support.broker import LOOPBACK, Account, Certificates, Mosquitto
from tests.support.bus import (
    connected,
    disconnected,
    heard,
    reconnected,
    reply,
    running_bus,
    until,
)

ROOT = "assistant/kitchen"
READY_S = 5.0
SLACK_S = 3.0
"""A loaded machine may take longer than the promise; a client that waits for ever is found out."""


@pytest.fixture(scope="module", params=["open", "tls and password"])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """A broker for several tests, each of which leaves it running."""
    folder, guarded = tmp_path_factory.mktemp("house"), request.param != "open"
    account = Account("daemon", "geheim") if guarded else None
    tls = Certificates.make(folder / "tls") if guarded else None
    with Mosquitto(folder / "broker", account=account, tls=tls) as broker:
        yield broker


@pytest.fixture(params=["5", "3.1.1"])
def settings(request: pytest.FixtureRequest, house: Mosquitto) -> dict[str, Any]:
    return house.settings | {"protocol": request.param}


async def test_replies_survive_a_broker_that_is_killed_and_restarted(
    house: Mosquitto, settings: dict[str, Any], state_folder: Path
):
    async with running_bus(settings, state_folder, clock=SystemClock()) as bus:
        await connected(bus)
        house.kill()
        try:
            for number in range(20):
                bus.reply(reply(number))
            await disconnected(bus)
        finally:
            house.start()
        began = time.monotonic()
        async with house.hub(f"{ROOT}/reply", f"{ROOT}/say") as hub:
            said = [json.loads(m.payload)["turn"] for m in await heard(hub, 20)]
            await connected(bus)
            took_s = time.monotonic() - began
            await hub.publish(f"{ROOT}/say", "Still there?", qos=1)
            assert await asyncio.wait_for(anext(bus.commands()), 5) == Say(text="Still there?")
    assert said == [f"turn-{number}" for number in range(20)]
    assert took_s < READY_S + SLACK_S


async def test_replies_survive_a_broker_that_is_frozen(
    house: Mosquitto, settings: dict[str, Any], state_folder: Path
):
    async with running_bus(settings, state_folder, clock=SystemClock()) as bus:
        await connected(bus)
        async with house.hub(f"{ROOT}/reply") as hub:
            house.freeze()
            try:
                for number in range(20):
                    bus.reply(reply(number))
                await asyncio.sleep(0.2)
                assert bus.queues.outbox == 20
            finally:
                house.thaw()
            said = [json.loads(m.payload)["turn"] for m in await heard(hub, 20)]
    assert said == [f"turn-{number}" for number in range(20)]
    assert bus.queues.outbox == 0


async def test_a_broker_that_stays_frozen_is_given_up_and_found_again(
    broker: Mosquitto, state_folder: Path
):
    async with running_bus(broker.settings, state_folder, clock=SystemClock()) as bus:
        await connected(bus)
        broker.freeze()
        try:
            bus.reply(reply(1))
            await disconnected(bus, patience_s=15.0)
        finally:
            broker.thaw()
        began = time.monotonic()
        await reconnected(bus)
        took_s = time.monotonic() - began
        assert bus.queues.outbox <= 1
    assert took_s < READY_S + SLACK_S


class DeafWire:
    """A way to a broker on which its acknowledgements can be lost."""

    def __init__(self, port: int) -> None:
        self._port, self._tasks = port, set[asyncio.Task[None]]()
        self.deaf = False
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, LOOPBACK)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """Break all connections."""
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(LOOPBACK, self._port)
        for source, sink, loses in ((reader, back, False), (there, writer, True)):
            task = asyncio.create_task(self._pass_on(source, sink, loses=loses))
            self._tasks.add(task)

    async def _pass_on(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, loses: bool
    ) -> None:
        try:
            while data := await source.read(65_536):
                if not (loses and self.deaf):
                    sink.write(data)
                    await sink.drain()
        finally:
            sink.close()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_what_was_not_acknowledged_comes_again_as_it_was_and_can_be_told(
    broker: Mosquitto, state_folder: Path, protocol: str
):
    async with DeafWire(broker.port) as wire:
        reach = broker.settings | {"port": wire.port, "protocol": protocol}
        async with running_bus(reach, state_folder) as bus:
            await connected(bus)
            async with broker.hub(f"{ROOT}/reply", f"{ROOT}/event") as hub:
                wire.deaf = True
                for number in range(20):
                    bus.reply(reply(number))
                    bus.event(EventType.WAKE, turn=f"turn-{number}")
                found = await heard(hub, IN_FLIGHT)
                wire.deaf = False
                wire.cut()
                found += await heard(hub, 40)
    copies, said = [m.payload for m in found], dict.fromkeys(m.payload for m in found)
    assert len(copies) == len(said) + IN_FLIGHT
    told = [json.loads(payload) for payload in said]
    replies = [each["turn"] for each in told if "text" in each]
    events = [each["turn"] for each in told if each.get("event_type") == "wake"]
    assert replies == events == [f"turn-{number}" for number in range(20)]
    names = {
        (each.get("at"), each.get("event_type"), each["turn"], each.get("seq")) for each in told
    }
    assert len(names) == 40


_DAEMON = """
import asyncio, json, sys
from pathlib import Path
from tests.support.bus import reply, running_bus
async def main():
    async with running_bus(json.loads(sys.argv[1]), Path(sys.argv[2])) as bus:
        for number in range(200):
            bus.reply(reply(number))
        print("queued", flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


async def test_replies_survive_a_daemon_that_is_killed_while_the_broker_is_away(
    broker: Mosquitto, state_folder: Path
):
    broker.kill()
    command = (sys.executable, "-c", _DAEMON, json.dumps(broker.settings), str(state_folder))
    daemon = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert daemon.stdout
    while await daemon.stdout.readline() != b"queued\n":
        pass
    os.kill(daemon.pid, signal.SIGKILL)
    await daemon.wait()
    broker.start()
    async with (
        broker.hub(f"{ROOT}/reply", f"{ROOT}/status") as hub,
        running_bus(broker.settings, state_folder) as bus,
    ):
        said = [json.loads(m.payload) for m in await heard(hub, 201) if m.payload != b"online"]
        assert [each["turn"] for each in said] == [f"turn-{number}" for number in range(200)]
        assert (bus.counters.dropped, bus.counters.expired) == (0, 0)


async def test_a_status_that_was_left_behind_is_corrected(broker: Mosquitto, state_folder: Path):
    async with broker.client() as hub:
        await hub.publish(f"{ROOT}/status", "offline", qos=1, retain=True)
    async with running_bus(broker.settings, state_folder), broker.hub(f"{ROOT}/status") as hub:
        await until(hub, b"online")


async def test_thousands_of_replies_drain_at_a_thousand_a_second(broker: Mosquitto):
    found = await drain(MqttSettings.model_validate(broker.settings), 3_000)
    assert found.replies == 3_000
    assert found.drain_s < 3 + 3 * SLACK_S
