"""A bus that never waits long, and a hub's view of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiomqtt

from assistant.clock import Clock, SystemClock
from assistant.mqtt.bus import Bus
from assistant.mqtt.outbox import Outbox
from assistant.settings import MqttSettings
from assistant.turn import EndReason, Reply, Turn

PATIENCE_S = 5.0


class ImpatientClock(SystemClock):
    """Tells the true time but sleeps ten milliseconds at most."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))


class HeldClock(ImpatientClock):
    """Sleeps until released: a bus that lost its broker stays away until then."""

    def __init__(self) -> None:
        self.release = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        await self.release.wait()
        await super().sleep(seconds)


@asynccontextmanager
async def running_bus(
    settings: dict[str, Any],
    folder: Path,
    *,
    site: str = "kitchen",
    clock: Clock | None = None,
) -> AsyncIterator[Bus]:
    """A bus with its own outbox and its `run` task, stopped cleanly at the end."""
    checked = MqttSettings.model_validate(settings)
    with Outbox.open(folder, checked) as outbox:
        bus = Bus(checked, site, folder, clock or ImpatientClock(), outbox)
        task = asyncio.create_task(bus.run(), name="mqtt")
        try:
            yield bus
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def reply(number: int, text: str = "It is on.") -> Reply:
    """An answer of its own turn."""
    turn = Turn(id=f"turn-{number}", site="kitchen", transcript="light on", intent="LightOn")
    return Reply(turn=turn, text=text, end_reason=EndReason.SILENCE)


async def heard(
    hub: aiomqtt.Client, count: int = 1, patience_s: float = PATIENCE_S
) -> list[aiomqtt.Message]:
    """The next `count` messages a hub receives."""
    messages: list[aiomqtt.Message] = []
    async with asyncio.timeout(patience_s):
        async for message in hub.messages:
            messages.append(message)
            if len(messages) == count:
                break
    return messages


async def heard_json(hub: aiomqtt.Client) -> dict[str, Any]:
    """The JSON object in the next message a hub receives."""
    [message] = await heard(hub)
    decoded: dict[str, Any] = json.loads(message.payload)
    return decoded


async def until(hub: aiomqtt.Client, payload: bytes) -> None:
    """Read a hub's messages up to the one with this payload."""
    while (await heard(hub))[0].payload != payload:
        pass


async def connected(bus: Bus) -> None:
    """Return once the bus has said `online`."""
    await asyncio.wait_for(bus.wait_connected(), PATIENCE_S)


async def reconnected(bus: Bus) -> None:
    """Return once the bus has noticed that its broker died, and said `online` again."""
    before = bus.counters.connects
    async with asyncio.timeout(PATIENCE_S):
        while bus.counters.connects == before:  # noqa: ASYNC110 - a real broker is on the wire
            await asyncio.sleep(0.005)


async def disconnected(bus: Bus, patience_s: float = PATIENCE_S) -> None:
    """Return once the bus has noticed that its broker is gone."""
    async with asyncio.timeout(patience_s):
        while bus.connected:  # noqa: ASYNC110 - a real broker is on the wire
            await asyncio.sleep(0.005)
