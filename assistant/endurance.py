"""What holds for long: memory over very many turns, and how fast a full outbox empties."""

import asyncio
import gc
import itertools
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assistant.audio.events import Ended, Event, Started
from assistant.clock import SystemClock
from assistant.dialogue import Dialogue
from assistant.errors import AssistantError
from assistant.intents import Intents
from assistant.mqtt.bus import Bus
from assistant.mqtt.outbox import Outbox
from assistant.outdoors import Outdoors
from assistant.settings import MqttSettings, Settings
from assistant.turn import SAMPLE_RATE_HZ, EndReason, Reply, StartReason, Turn, Utterance
from assistant.understanding import Understanding
from assistant.vitals import rss_mib
from assistant.worker import Cancel, Worker

SENTENCES = ("what time is it", "what day is it", "and so on " * 20)
"""Two that a plugin answers, and one too long to be taken for a mis-heard one, for the model."""
_JUMBLES = 997
"""Sentences of words in no order: near to many templates, and the model's, too."""
_SAMPLES = 60
_WARM_UP = 0.2
"""The part of the turns in which caches fill, and which says nothing about growth."""
_DRAIN_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Soak:
    """What became of the memory."""

    turns: int
    seconds: float
    rss_mib: tuple[float, ...]
    """Memory of the process, measured at equal distances."""
    kib_per_1000_turns: float
    """The slope of a line through the memory, the warm-up left out."""
    blocks_per_1000_turns: float
    """The same of the pieces of memory that Python holds: what leaks shows here at once."""


@dataclass(frozen=True, slots=True)
class Drain:
    """How fast a full outbox empties."""

    replies: int
    queue_s: float
    """What it took to put them on disk."""
    drain_s: float
    """From the start of the connection to the last acknowledgement."""


class _Parrot:
    """A mind that hears the same sentences over and over, at no cost."""

    name = "parrot"
    longest_s = 30.0

    def __init__(self, sentences: Iterable[str]) -> None:
        self._sentences = itertools.cycle(sentences)

    def understand(self, cancel: Cancel, audio: NDArray[np.int16]) -> Understanding:
        """Hear the next sentence."""
        del cancel, audio
        return Understanding(next(self._sentences), 0.9, "I see.", 3, 1.0, 1.0)

    def transcribe(self, cancel: Cancel, audio: NDArray[np.int16]) -> str:
        """Hear nothing yet."""
        del cancel, audio
        return ""

    def recall(self, text: str) -> str:
        """Know nothing."""
        del text
        return ""


@dataclass
class _Watch:
    """Looks at the memory every so many turns."""

    bus: Bus
    every: int
    rss_mib: list[float] = field(default_factory=list)
    blocks: list[float] = field(default_factory=list)

    async def look(self) -> None:
        """Look, once nothing is under way that will go."""
        while self.bus.connected and self.bus.queues.outbox:  # noqa: ASYNC110 - as below
            await asyncio.sleep(0)
        gc.collect()
        self.blocks.append(sys.getallocatedblocks())
        self.rss_mib.append(rss_mib() or 0.0)

    def found(self, turns: int, seconds: float) -> Soak:
        """Sum it up."""
        kib = 1024 * _slope(self.rss_mib, self.every)
        blocks = _slope(self.blocks, self.every)
        return Soak(turns, seconds, tuple(self.rss_mib), round(kib, 2), round(blocks, 1))


async def soak(
    settings: Settings,
    turns: int,
    progress: Callable[[int], None] = lambda _: None,
    *,
    sentences: Sequence[str] = (),
) -> Soak:
    """Run `turns` turns through dialogue, plugins, outbox and broker, and watch the memory.

    The broker of the settings is used when it is there; else the outbox fills to its bounds.
    `progress` is told of every turn that is done. What is heard are `sentences`, else `SENTENCES`
    and words in no order.
    """
    clock, worker, intents = SystemClock(), Worker("soak"), Intents.load(settings)
    quiet = settings.mqtt.model_copy(update={"discovery": False})
    with _outbox(quiet) as (folder, outbox):
        bus = Bus(quiet, settings.site, folder, clock, outbox)
        watch = _Watch(bus, max(50, turns // _SAMPLES))
        dialogue = Dialogue(
            _Parrot(sentences or _jumbled(intents)), intents, bus, worker,
            site=settings.site, settings=settings.engine, clock=clock,
        )  # fmt: skip
        await intents.start(Outdoors(bus, dialogue, site=settings.site, clock=clock))
        try:
            async with _connected(bus):
                await bus.first_connect()
                began = time.perf_counter()
                await dialogue.run(_events(dialogue, turns, watch, progress))
                taken_s = time.perf_counter() - began
        finally:
            await intents.stop()
            await worker.close(1.0)
    return watch.found(turns, taken_s)


def _jumbled(intents: Intents) -> list[str]:
    """Mix the sentences with words of the templates in no order."""
    rng = random.Random(0)  # noqa: S311 - a fair choice, not a secret
    said = itertools.islice(intents.sentences(), _JUMBLES)
    words = sorted({word for sentence in said for word in sentence.text.split()})
    jumbles = (" ".join(rng.sample(words, rng.randint(6, 12))) for _ in range(_JUMBLES))
    return [text for jumble in jumbles for text in (*SENTENCES, jumble)]


async def drain(settings: MqttSettings, replies: int) -> Drain:
    """Queue `replies` while there is no connection, connect, and time until the last is taken.

    Raises `AssistantError` when the broker cannot be reached or does not take them.
    """
    roomy = {"discovery": False, "outbox_count": replies, "outbox_kib": 1 << 20}
    quiet = settings.model_copy(update=roomy)
    with _outbox(quiet) as (folder, outbox):
        bus = Bus(quiet, "bench", folder, SystemClock(), outbox)
        began = time.perf_counter()
        for number in range(replies):
            turn = Turn(f"turn-{number}", "bench", "what time is it", intent="clock.time")
            bus.reply(Reply(turn, "It is nine o'clock.", EndReason.SILENCE))
        queued = time.perf_counter()
        async with _connected(bus):
            await _emptied(bus)
        return Drain(replies, queued - began, time.perf_counter() - queued)


@contextmanager
def _outbox(settings: MqttSettings) -> Iterator[tuple[Path, Outbox]]:
    """One of its own, in a folder that goes with it."""
    with tempfile.TemporaryDirectory(prefix="assistant-bench-") as name:
        folder = Path(name)
        with Outbox.open(folder, settings) as outbox:
            yield folder, outbox


@asynccontextmanager
async def _connected(bus: Bus) -> AsyncIterator[None]:
    """Keep the connection meanwhile."""
    connection = asyncio.create_task(bus.run(), name="mqtt")
    try:
        yield
    finally:
        connection.cancel()
        with suppress(asyncio.CancelledError):
            await connection


async def _emptied(bus: Bus) -> None:
    if (reason := await bus.first_connect()) is not None:
        raise AssistantError(reason)
    try:
        async with asyncio.timeout(_DRAIN_TIMEOUT_S):
            while bus.queues.outbox:  # noqa: ASYNC110 - the outbox is on disk and tells nobody
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssistantError(
            f"{bus.queues.outbox} replies still wait: is the broker slow?"
        ) from None


async def _events(
    dialogue: Dialogue, turns: int, watch: _Watch, progress: Callable[[int], None]
) -> AsyncIterator[Event]:
    """One utterance after the other, each begun when the last was answered."""
    audio = np.zeros(SAMPLE_RATE_HZ, np.int16)
    for number in range(turns):
        if number % watch.every == 0:
            await watch.look()
        yield Started(0.0)
        yield Ended(Utterance(audio, StartReason.VOICE, EndReason.SILENCE, 0.0))
        while dialogue.counters.replies + dialogue.counters.failed <= number:  # noqa: ASYNC110
            await asyncio.sleep(0)  # the dialogue tells the bus, not us
        progress(number + 1)


def _slope(sizes: Sequence[float], every: int) -> float:
    """How much is added in a thousand turns, by least squares over all but the warm-up."""
    steady = sizes[round(len(sizes) * _WARM_UP) :]
    if len(steady) < 3:  # noqa: PLR2004 - a line through fewer says nothing
        return 0.0
    per_sample = float(np.polyfit(np.arange(len(steady)), steady, 1)[0])
    return per_sample * 1000 / every
