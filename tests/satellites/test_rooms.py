"""Engines as processes, satellites, and one real mosquitto between them."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
import numpy as np
import pytest
from aiomqtt import ProtocolVersion

from assistant.audio.source import FileSource, Frame
from assistant.clock import SystemClock
from assistant.herald import SilentHerald
from assistant.mqtt.envelope import Envelope
from assistant.satellites.daemon import Satellite
from assistant.settings import Settings
from tests.support.assistant import RECORDINGS
from tests.support.broker import Mosquitto
from tests.support.engine import EngineProcess

PATIENCE_S = 60.0
ROOMS = ("kitchen", "hall", "attic")
SAID = ("1-light", "2-timer", "3-time")


@dataclass
class Watcher:
    """A hub that sees everything said below `assistant/`."""

    client: aiomqtt.Client
    replies: list[dict[str, Any]] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    """Turns whose utterance ended."""
    taken: dict[str, list[str]] = field(default_factory=dict)
    """Which engines took each turn."""
    engines: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    responses: dict[str, Any] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        async for message in self.client.messages:
            _, site, name = message.topic.value.split("/", 2)
            self._see(site, name, message)
            self.news.set()

    def _see(self, site: str, name: str, message: aiomqtt.Message) -> None:
        match name:
            case "engine":
                self.engines[site] = bytes(message.payload).decode()
            case str() if name.startswith("response/"):
                self.responses[name.removeprefix("response/")] = json.loads(message.payload)
            case "reply":
                self.replies.append(json.loads(message.payload))
            case "answer" if site in ROOMS:
                answer = json.loads(message.payload)
                if answer["kind"] == "taken":
                    self.taken.setdefault(answer["turn"], []).append(answer["engine"])
            case "event":
                event = json.loads(message.payload)
                if event["event_type"] == "speech_end" and not event.get("dropped"):
                    self.asked.add(event["turn"])
                if event["event_type"] == "error":
                    self.errors.append(event["message"])

    async def until(self, seen: Any) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not seen():
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def watching(broker: Mosquitto) -> AsyncIterator[Watcher]:
    async with broker.client(protocol=ProtocolVersion.V5) as client:
        await client.subscribe("assistant/+/#", qos=1)
        watcher = Watcher(client)
        task = asyncio.create_task(watcher.run())
        try:
            yield watcher
        finally:
            task.cancel()


@dataclass(frozen=True)
class House:
    broker: Mosquitto
    engines: list[EngineProcess]


def satellite(
    broker: Mosquitto, folder: Path, site: str, names: Sequence[str], **rooms: Any
) -> Satellite:
    clock = SystemClock()
    settings = Settings.model_validate(
        {
            "site": site,
            "state_folder": str(folder / site),
            "audio": {"source": "file"},
            "satellites": {"arbitration_ms": 0, "patience_s": 30} | rooms,
            "mqtt": broker.settings | {"discovery": False},
        }
    )
    paths = [RECORDINGS / f"{name}.opus" for name in names]
    source = FileSource(paths, clock, realtime=False)
    return Satellite(settings, lambda _: source, SilentHerald(), clock=clock)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Two engines, which take half a second over an utterance."""
    folder = tmp_path_factory.mktemp("house")
    with Mosquitto(folder / "broker") as broker, ExitStack() as stack:
        engines = [
            EngineProcess(name, folder / name, broker.settings, takes_s=0.5)
            for name in ("engine-1", "engine-2")
        ]
        for engine in engines:
            stack.enter_context(engine)
        yield House(broker, engines)
        assert all("Traceback" not in engine.log for engine in engines)


async def both_there(watcher: Watcher) -> None:
    await watcher.until(lambda: [*watcher.engines.values()].count("online") == 2)


def check(watcher: Watcher, count: int) -> None:
    """Every utterance has exactly one reply, at the site that asked."""
    replied = Counter(reply["turn"] for reply in watcher.replies)
    assert set(replied) == watcher.asked
    assert len(replied) == count
    assert set(replied.values()) == {1}


class Whispering(FileSource):
    """A recording heard from farther away, begun once the broker is there."""

    def __init__(self, loudness: float, started: Any) -> None:
        super().__init__([RECORDINGS / "3-time.opus"], SystemClock())
        self._loudness, self._started = loudness, started

    async def frames(self) -> AsyncIterator[Frame]:
        await self._started()
        async for frame in super().frames():
            yield Frame((frame.samples * self._loudness).astype(np.int16), frame.at)


async def speaking(
    broker: Mosquitto, folder: Path, site: str, loudness: float, both: asyncio.Barrier
) -> None:
    heard: list[Any] = []

    async def ready() -> None:
        await heard[0].wait_connected()
        await both.wait()

    source = Whispering(loudness, ready)
    daemon = satellite(broker, folder, site, SAID[:1], arbitration_ms=1000)
    daemon._ears = lambda _: source

    serve = daemon._serve

    async def noted(bus: Any) -> None:
        heard.append(bus)
        await serve(bus)

    daemon._serve = noted
    await daemon.run()


async def test_without_an_engine_the_user_is_told_what_to_start(broker: Mosquitto, tmp_path: Path):
    async with watching(broker) as watcher:
        running = satellite(broker, tmp_path, "kitchen", SAID[:1], patience_s=2).run()
        task = asyncio.create_task(running)
        await watcher.until(lambda: watcher.asked)
        for name in ("diagnostics", "plugins"):
            await watcher.client.publish(f"assistant/kitchen/request/{name}", qos=1)
        await watcher.until(lambda: len(watcher.responses) == 2)
        await task
        await watcher.until(lambda: watcher.errors)
    assert watcher.responses["diagnostics"]["data"]["turns"]["turns"] == 1
    assert "ask an engine" in watcher.responses["plugins"]["error"]
    assert watcher.errors == ["no engine is there: start one with `assistant engine`"]
    assert watcher.replies == []


async def test_an_engine_refuses_what_is_no_utterance_and_goes_on(house: House, tmp_path: Path):
    async with watching(house.broker) as watcher:
        await both_there(watcher)
        bad = (((), b"x"), ((("turn", "t1"),), b"RIFF no opus"), ((("turn", "t2"),), b""))
        for told, sound in bad:
            about = Envelope(user=told).properties()
            topic = "assistant/kitchen/utterance"
            await watcher.client.publish(topic, sound, qos=1, properties=about)
        told = (("turn", "t0"), ("kind", "reply"), ("engine", "stranger"))
        about = Envelope(user=told).properties()
        for answer in (b"{", b"[]", b'{"v": 1, "turn": "t0", "engine": "+", "kind": "reply"}'):
            topic = "assistant/cellar/answer"
            await watcher.client.publish(topic, answer, qos=1, properties=about)
        await satellite(house.broker, tmp_path, "kitchen", SAID[:1]).run()
        await watcher.until(lambda: watcher.replies and len(watcher.taken) == 3)
    assert [line for line in watcher.errors if "no user property `turn`" in line]
    assert set(watcher.taken) > {"t1", "t2"}


async def test_the_loudest_of_two_satellites_answers(house: House, tmp_path: Path):
    async with watching(house.broker) as watcher:
        await both_there(watcher)
        rooms = (("kitchen", 1.0), ("hall", 0.2))
        both = asyncio.Barrier(2)
        await asyncio.gather(
            *(speaking(house.broker, tmp_path, room, loudness, both) for room, loudness in rooms)
        )
        await watcher.until(lambda: watcher.replies)
    assert [reply["site"] for reply in watcher.replies] == ["kitchen"]
    assert watcher.errors == []


async def test_a_frozen_engine_costs_time_and_no_reply(house: House, tmp_path: Path):
    broker, (frozen, _) = house.broker, house.engines
    async with watching(broker) as watcher:
        await both_there(watcher)
        frozen.freeze()
        try:
            await satellite(broker, tmp_path, "kitchen", SAID).run()
            await watcher.until(lambda: len(watcher.replies) >= len(SAID))
        finally:
            frozen.thaw()
        check(watcher, len(SAID))
        # what waited for the frozen one is not answered a second time
        await watcher.until(lambda: any(frozen.name in who for who in watcher.taken.values()))
        check(watcher, len(SAID))
    assert watcher.errors == []


async def test_an_engine_killed_in_mid_turn_costs_no_reply_and_doubles_none(
    house: House, tmp_path: Path
):
    with EngineProcess(
        "victim", tmp_path / "engine", house.broker.settings, takes_s=3600
    ) as victim:
        async with watching(house.broker) as watcher:
            await watcher.until(lambda: [*watcher.engines.values()].count("online") == 3)
            running = [
                asyncio.create_task(satellite(house.broker, tmp_path, room, SAID).run())
                for room in ROOMS
            ]
            await watcher.until(lambda: ["victim"] in watcher.taken.values())
            victim.kill()
            await asyncio.gather(*running)
            await watcher.until(lambda: len(watcher.replies) >= len(ROOMS) * len(SAID))
    check(watcher, len(ROOMS) * len(SAID))
    assert watcher.errors == []
    lost = [who for who in watcher.taken.values() if who[0] == "victim"]
    assert lost
    assert all(len(who) > 1 for who in lost)
    assert {reply["site"] for reply in watcher.replies} == {*ROOMS}
