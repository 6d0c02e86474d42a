"""Commands: obeyed in order, and none of them in the way of the others."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from structlog.testing import capture_logs

from assistant.errors import UserError
from assistant.mqtt.commands import Command, SetModel, SetMute, SetThreshold
from assistant.mqtt.topics import Knob
from assistant.obeying import obey_all
from tests.audio.support import settle
from tests.daemon.support import FakeBus


class CommandedBus(FakeBus):
    def __init__(self) -> None:
        super().__init__()
        self.queue: asyncio.Queue[Command] = asyncio.Queue()

    async def commands(self) -> AsyncIterator[Command]:
        while True:
            yield await self.queue.get()


class SlowControls:
    """Knobs of which each takes until the gate is open."""

    def __init__(self) -> None:
        self.turned: list[Any] = []
        self.muted = False
        self.gate = asyncio.Event()

    def mute(self, *, muted: bool) -> None:
        self.muted = muted

    async def turn(self, _: Knob, value: Any) -> None:
        self.turned.append(value)
        await self.gate.wait()


async def test_of_a_flood_of_models_the_newest_is_taken_and_the_microphone_is_muted_meanwhile():
    nobody: Any = None
    bus, controls = CommandedBus(), SlowControls()
    given: tuple[Any, ...] = (bus, nobody, nobody, controls)
    task = asyncio.create_task(obey_all(*given))
    for number in range(50):
        bus.queue.put_nowait(SetModel(value=f"model-{number}"))
        await settle()
    bus.queue.put_nowait(SetMute(muted=True))
    await settle()
    assert controls.muted
    changing = [each for each in asyncio.all_tasks() if each.get_name() == "change of model"]
    assert (len(changing), controls.turned) == (1, ["model-0"])
    controls.gate.set()
    await settle()
    assert controls.turned == ["model-0", "model-49"]
    assert len(bus.said) == 48
    assert "'model-48': another was chosen" in str(bus.said[-1])
    bus.queue.put_nowait(SetModel(value="model-0"))
    await settle()
    assert controls.turned[2:] == ["model-0"]
    task.cancel()


async def test_what_cannot_be_done_is_a_line_in_the_log_and_an_event():
    class Refusing(SlowControls):
        async def turn(self, _: Knob, value: Any) -> None:
            raise UserError(f"vad.threshold = {value!r}: input should be less than 1")

    nobody: Any = None
    bus = CommandedBus()
    with capture_logs() as logs:
        task = asyncio.create_task(obey_all(bus, nobody, nobody, Refusing()))
        bus.queue.put_nowait(SetThreshold(value=7))
        await settle()
        task.cancel()
    [line], [(_, kind, _, details)] = logs, bus.said
    assert (line["log_level"], kind) == ("warning", "error")
    assert "vad.threshold = 7" in line["event"]
    assert "vad.threshold = 7" in details["message"]
