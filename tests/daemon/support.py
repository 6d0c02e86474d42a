"""Fakes for the rooms around the dialogue and the daemon."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assistant.answers import HandlerResult
from assistant.audio.events import Event
from assistant.turn import SAMPLE_RATE_HZ, EndReason, StartReason, Utterance
from assistant.understanding import Understanding
from assistant.worker import Cancel


class FakeMind:
    """Understands what its script says, utterance after utterance; an exception is raised."""

    name = "fake"
    longest_s = 20.0

    def __init__(self, *script: str | Exception, answer: str = "It is so.") -> None:
        self.script = list(script)
        self.answer = answer
        self.understood: list[float] = []
        """Seconds of every utterance that was asked about."""
        self.transcribed = 0
        self.by_heart: dict[str, str] = {}
        """Answers by question."""

    def understand(self, cancel: Cancel, audio: NDArray[np.int16]) -> Understanding:
        self.understood.append(len(audio) / SAMPLE_RATE_HZ)
        said = self.script.pop(0) if self.script else ""
        if isinstance(said, Exception):
            raise said
        return Understanding(said, 0.9, self.answer, passes=3, encode_ms=1.0, decode_ms=2.0)

    def transcribe(self, cancel: Cancel, audio: NDArray[np.int16]) -> str:
        self.transcribed += 1
        return f"{len(audio) / SAMPLE_RATE_HZ:g} seconds"

    def recall(self, text: str) -> str:
        return self.by_heart.get(text, "")


class FakeWorker:
    """Runs work on the event loop, once the gate is open."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.running = 0

    @property
    def busy(self) -> bool:
        return self.running > 0

    async def run(self, work: Callable[..., Any], *args: Any) -> Any:
        self.running += 1
        try:
            await self.gate.wait()
            return work(Cancel(), *args)
        finally:
            self.running -= 1


@dataclass
class FakeBus:
    """Remembers everything said, in order."""

    said: list[tuple[Any, ...]] = field(default_factory=list)
    published: list[tuple[str, bytes, bool]] = field(default_factory=list)
    infos: list[Any] = field(default_factory=list)

    def info(self, info: Any) -> None:
        self.infos.append(info)

    def state(self, activity: Any, turn: str | None = None) -> None:
        self.said.append(("state", activity.value, turn))

    def event(self, event_type: Any, turn: str | None = None, **details: Any) -> None:
        self.said.append(("event", event_type.value, turn, details))

    def relay(self, reply: Any) -> None:
        self.said.append(("reply", reply.turn, reply.text))

    def partial(self, turn: str, seq: int, text: str) -> None:
        self.said.append(("partial", turn, seq, text))

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        self.published.append((topic, payload, retain))

    def named(self, kind: str, name: str | None = None) -> list[tuple[Any, ...]]:
        return [each for each in self.said if each[0] == kind and name in (None, each[1])]

    @property
    def states(self) -> list[tuple[str, str | None]]:
        return [(activity, turn) for _, activity, turn in self.named("state")]


@dataclass
class FakeIntents:
    """Answers the transcripts it knows."""

    known: dict[str, HandlerResult] = field(default_factory=dict)
    began: list[str] = field(default_factory=list)
    hushed: list[str] = field(default_factory=list)
    answering: list[str] = field(default_factory=list)
    """Which question each speech answers; empty for none."""
    overheard: list[tuple[Any, ...]] = field(default_factory=list)
    turns: list[Any] = field(default_factory=list)
    limits: list[tuple[str, Collection[str] | None]] = field(default_factory=list)

    def hush(self, site: str) -> None:
        self.hushed.append(site)

    def speech_began(self, site: str, *, answers: str = "") -> None:
        self.began.append(site)
        self.answering.append(answers)

    def limit(self, site: str, intents: Collection[str] | None) -> None:
        self.limits.append((site, intents))

    def hearing(self, site: str) -> AbstractContextManager[None]:
        return nullcontext()

    def overhear(self, *told: Any, answers: str) -> None:
        self.overheard.append((*told, answers))

    def match(self, text: str, site: str = "") -> Sequence[HandlerResult]:
        return [self.known[text]] if text in self.known else []

    async def handle(self, matches: Sequence[HandlerResult], turn: Any) -> HandlerResult | None:
        self.turns.append(turn)
        return matches[0] if matches else None


class Script:
    """Events handed over one at a time: each is followed by everything it causes."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[Event | None] = asyncio.Queue(100)

    async def tell(self, *events: Event) -> None:
        for event in events:
            self._events.put_nowait(event)
            await settle()

    async def end(self) -> None:
        self._events.put_nowait(None)
        await settle()

    async def events(self) -> AsyncIterator[Event]:
        while (event := await self._events.get()) is not None:
            yield event


def utterance(seconds: float = 1.0, ended_by: EndReason = EndReason.SILENCE) -> Utterance:
    audio = np.zeros(round(seconds * SAMPLE_RATE_HZ), np.int16)
    return Utterance(audio, StartReason.VOICE, ended_by, speech_ended_at=0.0)


async def settle(rounds: int = 40) -> None:
    """Let every task that can run, run."""
    for _ in range(rounds):
        await asyncio.sleep(0)
