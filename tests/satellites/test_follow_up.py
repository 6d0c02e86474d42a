"""A question and its answer, between a satellite, two engine processes and a real mosquitto."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import numpy as np
import pytest
from aiomqtt import ProtocolVersion
from numpy.typing import NDArray

from assistant.audio.source import FileSource, Frame
from assistant.clock import SystemClock
from assistant.herald import SilentHerald
from assistant.satellites.daemon import Satellite
from assistant.settings import Settings
from tests.support.assistant import RECORDINGS
from tests.support.broker import Mosquitto
from tests.support.engine import EngineProcess

PATIENCE_S = 60.0
SHORT, LONG = "3-time", "7-dim"
"""Recordings that the engines tell by their length."""
WORDS = {"3": "large", "9": "order a pizza"}
PIZZA = """
from typing import Literal

from assistant.plugin import Ask, Plugin, Turn

plugin = Plugin("pizza")


@plugin.intent("order [a] [{size}] pizza", examples=["order a pizza"])
async def order(turn: Turn, size: Literal["small", "large"] | None = None) -> Ask | str:
    if size is None:
        return Ask("Small or large?", expects=["{size}"], timeout=600)
    return f"A {size} pizza."
"""


class SleepyWord:
    """A wake word that is heard only when the test says so."""

    def __init__(self) -> None:
        self.said = False

    def heard(self, samples: NDArray[np.int16]) -> bool:
        said, self.said = self.said, False
        return said

    def reset(self) -> None:
        """Nothing to forget."""


class Cued(FileSource):
    """Plays a recording when it is named; frames are as old as the clock says."""

    def __init__(self, word: SleepyWord) -> None:
        super().__init__([RECORDINGS / f"{SHORT}.opus"], SystemClock(), realtime=False)
        self._word = word
        self.cues: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()
        """Which recording, and whether the wake word is heard before it."""

    async def frames(self) -> AsyncIterator[Frame]:
        while True:
            name, self._word.said = await self.cues.get()
            self._paths = (RECORDINGS / f"{name}.opus",)
            async for frame in super().frames():
                yield Frame(frame.samples, self._clock.now())


class Room:
    """One satellite that wakes by a word, what is said at it and what a hub sees of it."""

    def __init__(self, client: aiomqtt.Client, source: Cued) -> None:
        self._client, self._source = client, source
        self.engines: dict[str, str] = {}
        self.seen: list[tuple[str, dict[str, Any]]] = []
        """Events, by their kind and for plugins' by their name; and answers and replies."""
        self.news = asyncio.Event()

    async def watch(self) -> None:
        async for message in self._client.messages:
            _, site, verb = message.topic.value.split("/", 2)
            payload = bytes(message.payload or b"")
            if verb == "engine":
                self.engines[site] = payload.decode()
            elif verb in {"answer", "reply", "event"}:
                told = json.loads(payload)
                self.seen.append((told.get("name") or told.get("event_type") or verb, told))
            self.news.set()

    async def until(self, seen: Any) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not seen():
                self.news.clear()
                await self.news.wait()

    def say(self, name: str, *, wake: bool) -> None:
        self._source.cues.put_nowait((name, wake))

    async def replied(self, count: int) -> dict[str, Any]:
        await self.until(lambda: len(self.named("reply")) >= 2 * count)  # and its event
        return [told for told in self.named("reply") if "transcript" in told][-1]

    def named(self, name: str) -> list[dict[str, Any]]:
        return [told for kind, told in self.seen if kind == name]

    def answering(self, turn: str) -> str:
        [engine] = [a["engine"] for a in self.named("answer") if a["turn"] == turn and a["reply"]]
        return engine


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "pizza.py").write_text(PIZZA)
    return folder


@pytest.fixture
def house(
    broker: Mosquitto, tmp_path: Path, plugins: Path
) -> Iterator[tuple[Mosquitto, dict[str, EngineProcess]]]:
    names = ("engine-1", "engine-2")
    engines = {
        name: EngineProcess(
            name, tmp_path / name, broker.settings, takes_s=0.05, words=WORDS, plugins=plugins
        )
        for name in names
    }
    with ExitStack() as stack:
        for engine in engines.values():
            stack.enter_context(engine)
        yield broker, engines


@asynccontextmanager
async def room(
    broker: Mosquitto, folder: Path, monkeypatch: pytest.MonkeyPatch, *, engines: int = 2
) -> AsyncIterator[Room]:
    settings = Settings.model_validate(
        {
            "site": "kitchen",
            "state_folder": str(folder / "kitchen"),
            "satellites": {"patience_s": 30},
            "mqtt": broker.settings | {"discovery": False},
        }
    )
    word = SleepyWord()
    source = Cued(word)
    monkeypatch.setattr("assistant.daemon.make_wake_word", lambda _: word)
    running = Satellite(settings, lambda _: source, SilentHerald()).run()
    async with broker.client(protocol=ProtocolVersion.V5) as client:
        await client.subscribe("assistant/+/#", qos=1)
        made = Room(client, source)
        tasks = [asyncio.create_task(made.watch()), asyncio.create_task(running)]
        try:
            await made.until(lambda: [*made.engines.values()].count("online") == engines)
            yield made
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def test_an_answer_needs_no_wake_word_and_goes_to_the_engine_that_asked(
    house: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    broker, _ = house
    async with room(broker, tmp_path, monkeypatch) as kitchen:
        for round_ in (0, 1):
            kitchen.say(LONG, wake=True)
            question = await kitchen.replied(2 * round_ + 1)
            assert question["text"] == "Small or large?"
            kitchen.say(SHORT, wake=False)
            answer = await kitchen.replied(2 * round_ + 2)
            assert (answer["text"], answer["slots"]) == ("A large pizza.", {"size": "large"})
            assert kitchen.answering(answer["turn"]) == kitchen.answering(question["turn"])
        kitchen.say(SHORT, wake=False)
        kitchen.say(LONG, wake=True)
        await kitchen.replied(5)
    asked = {"expects": ["{size}"], "timeout_s": 600.0}
    assert [told["data"] for told in kitchen.named("question")] == [asked] * 3
    began = [told["started_by"] for told in kitchen.named("speech_start")]
    assert began == ["wake_word", "voice", "wake_word", "voice", "wake_word"]
    assert kitchen.named("error") == []


async def test_another_engine_takes_the_answer_when_the_one_that_asked_has_died(
    house: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    broker, engines = house
    async with room(broker, tmp_path, monkeypatch) as kitchen:
        kitchen.say(LONG, wake=True)
        question = await kitchen.replied(1)
        asker = kitchen.answering(question["turn"])
        engines[asker].kill()
        await kitchen.until(lambda: kitchen.engines[asker] == "offline")
        kitchen.say(SHORT, wake=False)
        answer = await kitchen.replied(2)
        assert (answer["text"], answer["intent"]) == ("A large pizza.", "pizza.order")
        assert kitchen.answering(answer["turn"]) != asker
    assert kitchen.named("error") == []


async def test_an_engine_that_came_after_the_question_takes_the_answer(
    broker: Mosquitto, tmp_path: Path, plugins: Path, monkeypatch: pytest.MonkeyPatch
):
    def engine(name: str) -> EngineProcess:
        folder = tmp_path / name
        return EngineProcess(
            name, folder, broker.settings, takes_s=0.05, words=WORDS, plugins=plugins
        )

    with engine("engine-1") as first:
        async with room(broker, tmp_path, monkeypatch, engines=1) as kitchen:
            kitchen.say(LONG, wake=True)
            question = await kitchen.replied(1)
            assert question["text"] == "Small or large?"
            with engine("engine-2"):
                await kitchen.until(lambda: kitchen.engines.get("engine-2") == "online")
                first.kill()
                await kitchen.until(lambda: kitchen.engines["engine-1"] == "offline")
                kitchen.say(SHORT, wake=False)
                answer = await kitchen.replied(2)
            assert (answer["text"], answer["intent"]) == ("A large pizza.", "pizza.order")
            assert kitchen.answering(answer["turn"]) == "engine-2"
        assert kitchen.named("error") == []
