"""What the bus does with whatever the outside sends it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from assistant.mqtt.commands import Cancel, Command, Listen, Say, SetMute
from tests.support.broker import Mosquitto
from tests.support.bus import PATIENCE_S, connected, heard, reconnected, running_bus

ROOT = "assistant/kitchen"


async def take(commands: AsyncIterator[Command], count: int) -> list[Command]:
    async with asyncio.timeout(PATIENCE_S):
        return [await anext(commands) for _ in range(count)]


async def test_commands_arrive_in_order(broker: Mosquitto, state_folder: Path):
    async with running_bus(broker.settings, state_folder) as bus, broker.client() as hub:
        await connected(bus)
        await hub.publish(f"{ROOT}/say", "What time is it?", qos=1)
        await hub.publish(f"{ROOT}/say", '{"text": "grüß dich"}', qos=1)
        await hub.publish(f"{ROOT}/listen", None, qos=1)
        await hub.publish(f"{ROOT}/cancel", "PRESS", qos=1)
        await hub.publish(f"{ROOT}/mute/set", "ON", qos=1)
        assert await take(bus.commands(), 5) == [
            Say(text="What time is it?"),
            Say(text="grüß dich"),
            Listen(),
            Cancel(),
            SetMute(muted=True),
        ]


async def test_commands_work_again_after_a_reconnect(broker: Mosquitto, state_folder: Path):
    async with running_bus(broker.settings, state_folder) as bus:
        await connected(bus)
        broker.restart()
        await reconnected(bus)
        async with broker.client() as hub:
            await hub.publish(f"{ROOT}/listen", qos=1)
        assert await take(bus.commands(), 1) == [Listen()]


async def test_a_retained_command_is_not_obeyed(broker: Mosquitto, state_folder: Path):
    async with broker.client() as hub:
        await hub.publish(f"{ROOT}/say", "open the door", qos=1, retain=True)
        async with running_bus(broker.settings, state_folder) as bus:
            await connected(bus)
            await hub.publish(f"{ROOT}/listen", qos=1)
            assert await take(bus.commands(), 1) == [Listen()]
        assert bus.counters.refused_commands == 1


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        ("say", b'{"text": "unfinished', "begins like JSON but is not"),
        ("say", b'{"words": "no text"}', "text: Field required"),
        (
            "say",
            b'{"v": 2, "text": "from the future"}',
            "v: it is of version 2, this assistant knows only 1",
        ),
        ("say", b'{"text": 7}', "text: Input should be a valid string"),
        ("say", b" \n", "text: String should have at least 1 character"),
        ("say", b'{"a":' * 5_000, "begins like JSON but is not"),
        ("say", b'{"v": ' + b"1" * 5_000 + b"}", "begins like JSON but is not"),
        ("say", b'{"text": "\\ud800"}', "text: Input should be a valid string"),
        ("say", b"\xff\xfe", "it is not UTF-8"),
        ("say", b"x" * 10_000_000, "10000000 bytes, over 65536 (mqtt.max_payload_bytes)"),
        ("listen", b"{", "begins like JSON but is not"),
        ("threshold/set", b"", "it is empty: send the new value"),
        ("preset/set", b" ", "it is empty: send the new value"),
        ("preset/set", b'{"value": "\\ud800"}', "value: "),
        ("threshold/set", b'{"value": true}', "value: expected a text or a number"),
        (
            "say",
            b'{"text": "soon", "expires_at": NaN}',
            "expires_at: Input should be a finite number",
        ),
        ("mute/set", b"perhaps", 'expected ON, OFF, true, false or {"muted": true}'),
        ("mute/set", b"", 'expected ON, OFF, true, false or {"muted": true}'),
    ],
)
async def test_a_bad_command_is_one_line_and_one_event_and_the_bus_goes_on(
    broker: Mosquitto, state_folder: Path, topic: str, payload: bytes, reason: str
):
    with capture_logs() as logs:
        async with running_bus(broker.settings, state_folder) as bus:
            await connected(bus)
            async with broker.hub(f"{ROOT}/event") as hub:
                await hub.publish(f"{ROOT}/{topic}", payload, qos=1)
                await hub.publish(f"{ROOT}/say", "still there?", qos=1)
                assert await take(bus.commands(), 1) == [Say(text="still there?")]
                event = json.loads((await heard(hub))[0].payload)
            assert bus.counters.refused_commands == 1
    [line] = [log["event"] for log in logs if log["log_level"] == "warning"]
    assert reason in line
    assert "\n" not in line
    assert (event["event_type"], event["message"]) == ("error", line)
