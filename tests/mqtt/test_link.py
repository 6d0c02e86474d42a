"""What one message does to the others: nothing, whatever becomes of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from structlog.testing import capture_logs

from assistant.clock import SystemClock
from assistant.errors import TransientError, UserError
from assistant.mqtt.bus import Bus
from assistant.mqtt.connection import Connection
from assistant.mqtt.envelope import NO_ENVELOPE, Envelope
from assistant.mqtt.link import Link
from assistant.mqtt.message import Message
from assistant.mqtt.outbox import Outbox
from assistant.settings import MqttSettings
from tests.support.broker import Mosquitto
from tests.support.bus import connected, heard_json, reply, running_bus

ROOT = "assistant/kitchen"


async def test_what_cannot_be_sent_is_lost_alone(broker: Mosquitto, state_folder: Path):
    async with running_bus(broker.settings, state_folder) as bus:
        bus.reply(reply(1))
        with capture_logs() as logs:
            bus.post("a/#", b"", NO_ENVELOPE)
            bus.post("a/b", b"", Envelope.of_json("say", "x" * 70_000))
            await connected(bus)
            async with broker.hub(f"{ROOT}/reply") as hub:
                bus.send(Message("+", b"", retain=True))
                bus.reply(reply(2))
                while (await heard_json(hub))["turn"] != "turn-2":
                    pass
    assert (bus.counters.dropped, bus.counters.connects, bus.queues.outbox) == (3, 1, 0)
    lost = [log["event"].split(":")[:2] for log in logs if log["log_level"] == "error"]
    assert lost == [
        ["a message is lost", f" cannot publish on '{on}'"] for on in ("a/#", "a/b", "+")
    ]


async def test_what_the_broker_throws_away_is_lost_and_whoever_waits_is_told(
    tmp_path: Path, state_folder: Path
):
    with Mosquitto(tmp_path / "broker", acl="topic readwrite assistant/#") as broker:
        settings = broker.settings | {"discovery": False}
        async with broker.hub(f"{ROOT}/reply") as hub, running_bus(settings, state_folder) as bus:
            await connected(bus)
            with pytest.raises(TransientError, match="check its access list"):
                await bus.publish("lamp/set", "ON")
            bus.post("lamp/set", b"ON", NO_ENVELOPE)
            bus.reply(reply(1))
            await heard_json(hub)
        assert (bus.counters.dropped, bus.queues.outbox) == (2, 0)


@pytest.mark.parametrize("site", ["a/#", "+", "a\0b", "\ud800"])
async def test_nothing_is_said_at_what_cannot_be_a_site(site: str, state_folder: Path):
    async with running_bus({"port": 1}, state_folder) as bus:
        with pytest.raises(UserError, match="cannot publish"):
            bus.say_at(site, "Dinner is ready.")
        assert bus.queues.outbox == 0


class Unruly:
    """A broker that acknowledges in whatever order the test likes."""

    def __init__(self) -> None:
        self.takers: list[Callable[[str], None]] = []

    def post(self, _: Message, taken: Callable[[str], None]) -> None:
        self.takers.append(taken)


@asynccontextmanager
async def sending(
    folder: Path, *topics: str
) -> AsyncIterator[tuple[Unruly, Link, list[asyncio.Task[None]]]]:
    """A link that sends to an unruly broker until the end, and who waits for each message."""
    client, settings = cast("Connection", broker := Unruly()), MqttSettings()
    with Outbox.open(folder, settings) as outbox:
        link = Bus(settings, "kitchen", folder, SystemClock(), outbox)._link
        link._client = client
        task = asyncio.create_task(link._send(client))
        waiting = [asyncio.create_task(link.publish(Message(each, b""))) for each in topics]
        async with asyncio.timeout(5):
            while len(broker.takers) < len(topics):  # noqa: ASYNC110 - the fake has no event
                await asyncio.sleep(0)
            yield broker, link, waiting
            task.cancel()
            await asyncio.wait([task, *waiting])


async def test_a_publish_acknowledged_before_an_older_one_is_not_waited_for_when_all_ends(
    state_folder: Path,
):
    async with sending(state_folder, "a", "b") as (broker, link, (first, second)):
        broker.takers[1]("")
    assert isinstance(first.exception(), TransientError)
    assert second.exception() is None
    assert (link.counters.published, link.counters.dropped) == (1, 1)


async def test_what_the_broker_throws_away_does_not_count_as_published(state_folder: Path):
    async with sending(state_folder, "a", "b") as (broker, link, (first, second)):
        broker.takers[0]("no")
        broker.takers[1]("")
        await asyncio.wait([first, second])
        assert (link.counters.published, link.counters.dropped) == (1, 1)
    assert str(first.exception()).endswith("did not take a: no")
