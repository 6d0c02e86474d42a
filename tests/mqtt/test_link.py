"""What one message does to the others: nothing, whatever becomes of it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from structlog.testing import capture_logs

from assistant.clock import SystemClock
from assistant.errors import TransientError, UserError
from assistant.mqtt.bus import Bus
from assistant.mqtt.connection import Connection
from assistant.mqtt.envelope import NO_ENVELOPE, Envelope
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


@pytest.mark.parametrize("site", ["a/#", "+", "a\0b", "\ud800"])
async def test_nothing_is_said_at_what_cannot_be_a_site(site: str, state_folder: Path):
    async with running_bus({"port": 1}, state_folder) as bus:
        with pytest.raises(UserError, match="cannot publish"):
            bus.say_at(site, "Dinner is ready.")
        assert bus.queues.outbox == 0


class Unruly:
    """A broker that acknowledges in whatever order the test likes."""

    def __init__(self) -> None:
        self.takers: list[Callable[[], None]] = []

    def post(self, _: Message, taken: Callable[[], None]) -> None:
        self.takers.append(taken)


async def test_a_publish_acknowledged_before_an_older_one_is_not_waited_for_when_all_ends(
    state_folder: Path,
):
    client, settings = cast("Connection", broker := Unruly()), MqttSettings()
    with Outbox.open(state_folder, settings) as outbox:
        link = Bus(settings, "kitchen", state_folder, SystemClock(), outbox)._link
        link._client = client
        sending = asyncio.create_task(link._send(client))
        both = [asyncio.create_task(link.publish(Message(each, b""))) for each in "ab"]
        async with asyncio.timeout(5):
            while len(broker.takers) < len(both):  # noqa: ASYNC110 - the fake has no event
                await asyncio.sleep(0)
            broker.takers[1]()
            sending.cancel()
            first, second = await asyncio.gather(*both, return_exceptions=True)
    assert isinstance(first, TransientError)
    assert second is None
    assert (link.counters.published, link.counters.dropped) == (1, 1)
