"""Who answers the items: our engine, several in one batch, with their sounds encoded ahead."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from engines.checkpoints import Checkpoint
from engines.diffa import Ask, Batch, Engine, default_schedule
from engines.evaluation.benchmarks.catalogue import Benchmark, Decoding, question
from engines.evaluation.benchmarks.items import Answer, Heard, Item
from engines.evaluation.benchmarks.prefetch import Ahead
from engines.evaluation.benchmarks.sound import hear, trimmed
from engines.evaluation.benchmarks.working import Working
from engines.schedule import CacheKind, Schedule, Steps

_AHEAD = 4
_ENOUGH = 0.8
"""Share of the batch that is waited for, all of it where it ran empty, while items are to come."""


@dataclass(frozen=True, slots=True)
class Group:
    """Answers that were finished together, and how the time since the last group was spent."""

    answers: tuple[Answer, ...]
    wall_s: float
    busy_s: float
    """Of it, spent encoding or denoising, or waiting for a cascade's parts to answer."""
    denoising_s: float | None = None
    """Of it, spent denoising, where a batch is denoised."""
    filled_s: float | None = None
    """The same, each moment weighed by the share of the batch that was in use."""


class Answerer(Protocol):
    """Something that answers items."""

    def answer(self, items: Iterable[Item]) -> Iterator[Group]:
        """Answer all items, in the order they are finished. An item may fail, the run does not."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """An item that waits for room in the batch, or that failed."""

    ask: Ask | None
    answer: Answer
    encode_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Running:
    """An item that is denoised."""

    answer: Answer
    began_s: float
    """When its work would have begun, had it not waited for room."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How a checkpoint is asked."""

    prompt: str
    schedule: Schedule
    stops: bool
    """A stop token ends a response; DIFFA's own evaluation decodes and keeps what is behind it."""
    described: Mapping[str, Any]


def how_asked(
    checkpoint: Checkpoint, benchmark: Benchmark, decoding: Decoding | None, cache: CacheKind | None
) -> Asked:
    """The prompt and schedule of a run; `decoding` None means the checkpoint's own way."""
    manifest = checkpoint.manifest
    # a model that takes no text is not told the question
    prompt = benchmark.prompt if benchmark.prompt in manifest.prompts else "answer"
    schedule = _schedule(default_schedule(checkpoint), decoding, cache, manifest.attention)
    stops = decoding is None or manifest.attention == "block-causal"
    described = {
        "prompt": prompt,
        "prompt_text": manifest.prompts.get(prompt, ""),
        "question_told": prompt == benchmark.prompt,
        "decoding": _shown(schedule) + ("" if stops else ", to the last token"),
        "audio": f"mono, 16 kHz, cut off after {manifest.audio.longest_s:g} s",
    }
    return Asked(prompt, schedule, stops, described)


class EngineAnswerer:
    """Our engine, asked as DIFFA was unless told otherwise."""

    def __init__(
        self,
        engine: Engine,
        benchmark: Benchmark,
        decoding: Decoding | None = None,
        *,
        batch: int = 8,
        cache: CacheKind | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Take an engine; see `how_asked`."""
        self._engine, self._benchmark, self._clock, self._batch = engine, benchmark, clock, batch
        self._asked = how_asked(engine.checkpoint, benchmark, decoding, cache)
        self._working = Working(clock)

    def answer(self, items: Iterable[Item]) -> Iterator[Group]:
        """Answer all items; see `Answerer`."""
        heard = Ahead(hear, items, _AHEAD, "benchmark sounds")
        ready = Ahead(self._encode, heard, self._batch, "benchmark encoder")
        batch = self._engine.batch(self._batch)
        try:
            yield from self._denoise(batch, ready)
        finally:
            batch.close()
            ready.close()
            heard.close()

    def _denoise(self, batch: Batch, ready: Ahead[_Ready]) -> Iterator[Group]:
        running: dict[int, _Running] = {}
        done: list[Answer] = []
        last = self._clock()
        while running or not ready.ended:
            empty = not running
            while len(running) < self._batch:
                # a pass of many takes little longer than of one, and encoding goes on meanwhile
                wait = not done and (empty or len(running) < _ENOUGH * self._batch)
                found = ready.take(wait=wait)
                if found is None:
                    break
                done += self._admit(batch, found, running)
            if running:
                with self._working.part(len(running) / self._batch):
                    done += self._step(batch, running)
            if done:
                now = self._clock()
                spent = self._working.taken()
                times = (spent.busy_s, spent.denoising_s, spent.filled_s)
                yield Group(tuple(done), now - last, *times)
                done, last = [], now

    def _admit(self, batch: Batch, found: _Ready, running: dict[int, _Running]) -> Iterator[Answer]:
        """Let an item in; an item that cannot be answered is given back."""
        if found.ask is None:
            yield found.answer
            return
        try:
            handle = batch.add(found.ask)
        except ValueError as error:
            yield replace(found.answer, error=str(error))
            return
        running[handle] = _Running(found.answer, self._clock() - found.encode_s)

    def _step(self, batch: Batch, running: dict[int, _Running]) -> Iterator[Answer]:
        """Run a pass; give the answers that it finished."""
        for block in batch.step():
            before, began_s = running[block.ask].answer, running[block.ask].began_s
            took_s = self._clock() - began_s
            answer = replace(
                before,
                response=before.response + block.text,
                first_s=before.first_s or took_s,
                took_s=took_s,
                passes=block.passes,
                tokens=before.tokens + len(block.confidence),
            )
            running[block.ask] = _Running(answer, began_s)
            if block.last:
                del running[block.ask]
                yield replace(answer, response=answer.response.strip())

    def _encode(self, heard: Heard) -> _Ready:
        began, item = self._clock(), heard.item
        if heard.wave is None:
            return _Ready(None, Answer(item.key, "", heard.error))
        wave, cut = trimmed(heard.wave, self._engine.checkpoint.manifest.audio.longest_s)
        with self._working.part():
            prefix = self._engine.encode(wave)
        told = question(self._benchmark.name, item.row)
        answer = Answer(item.key, "", audio_s=prefix.seconds, cut=cut)
        asked = self._asked
        ask = Ask(asked.prompt, prefix, told, asked.schedule, stops=asked.stops)
        return _Ready(ask, answer, self._clock() - began)


def _schedule(
    own: Schedule, decoding: Decoding | None, cache: CacheKind | None, attention: str
) -> Schedule:
    """The published schedule, as the reference spends its steps, or the checkpoint's own."""
    if decoding is None:
        return own if cache is None else replace(own, cache=cache)
    blocks = -(-decoding.max_new_tokens // decoding.block_length)
    # where a block sees only what is before it, the cache changes nothing but the time it takes
    reference: CacheKind = "exact" if attention == "block-causal" else "none"
    return Schedule(
        max_new_tokens=decoding.max_new_tokens,
        block_length=decoding.block_length,
        rule=Steps(max(1, decoding.steps // blocks)),
        cache=cache or reference,
        cautious_end=own.cautious_end,
    )


def _shown(schedule: Schedule) -> str:
    rule = f"{type(schedule.rule).__name__.lower()} " + " ".join(
        f"{getattr(schedule.rule, name):g}" for name in schedule.rule.__slots__
    )
    return (
        f"{schedule.max_new_tokens} tokens in blocks of {schedule.block_length}, {rule} a block, "
        f"cache {schedule.cache}, temperature {schedule.temperature:g}"
    )
