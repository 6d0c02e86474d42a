"""What the engine makes of an utterance: a transcript, checked against the plugins' sentences."""

import itertools
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from assistant import spoken
from assistant.errors import UserError
from assistant.grammar import Heard, Speller
from assistant.intents import Intents
from assistant.settings import EngineSettings, Settings
from assistant.turn import SAMPLE_RATE_HZ
from assistant.weighing import Weigher
from assistant.worker import Cancel
from engines.backends import RequestError
from engines.checkpoints import CheckpointError
from engines.diffa import Ask, Engine, Prefix, TextBlock
from engines.memory import FreeBytes, NotEnoughMemoryError, free_bytes
from engines.schedule import Exactly, Schedule, Threshold

NANO = Path(__file__).parent.parent / "engines" / "nano"
SPELLED_LOSS = 4.0
"""Up to which `Heard.loss`, with what its freedom costs, a sentence of the plugins is taken for
what was said. Measured: of 300 orders by voices never heard 297 are then understood, and of 460
sentences that no plugin knows 9 are taken for one."""
FREEDOM_COST = 0.5
"""What `Heard.freedom` counts beside the loss. Measured with an ear half as good, at as many false
commands: of 280 sentences that people read 241 are found, without it 219; in noise 200, without it
167."""
KNOWN_LOSS = 2.0
"""The same for a question known by heart, stricter: a wrong answer is worse than none. Measured:
248 of 300 are then recognised, one is taken for another, and 11 of 580 other sentences are taken
for one."""
FAVOUR = 0.6
"""How much better than a plugin's sentence a question known by heart has to fit: a plugin is there
because somebody wants it. Measured: two more of 72 orders are understood, two fewer of 300
questions."""
MOST_PASSES = 12
"""Spent on an answer that is only given when it is sure. Measured on 700 utterances: what was sure
enough took eight passes or fewer, what was not took up to 64."""
TRANSCRIPT_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Understanding:
    """One utterance, read and answered."""

    transcript: str
    """Lower-case words; empty when none were heard."""
    confidence: float
    """Mean probability of the transcript's tokens, or of its pieces against the likeliest."""
    answer: str
    """The model's own answer, for when no plugin has one; empty when it is not sure enough."""
    passes: int
    """Forward passes of the language model, over the whole batch."""
    encode_ms: float
    decode_ms: float


class Mind(Protocol):
    """Understands sound; called on the engine's thread only."""

    @property
    def name(self) -> str:
        """The model's name, for people."""
        ...

    @property
    def longest_s(self) -> float:
        """Audio beyond this is not heard."""
        ...

    def understand(self, cancel: Cancel, audio: NDArray[np.int16]) -> Understanding:
        """Transcript and answer of a finished utterance; raises `Cancelled` between passes."""
        ...

    def transcribe(self, cancel: Cancel, audio: NDArray[np.int16]) -> str:
        """Transcript so far of an utterance that goes on."""
        ...

    def recall(self, text: str) -> str:
        """The answer to a question known by heart, on any thread; empty for any other words."""
        ...


def load_mind(
    settings: Settings, intents: Callable[[], Intents], free: FreeBytes = free_bytes
) -> "EngineMind":
    """Load the model that the settings name; `intents` is asked when it is there, and may wait.

    Raises `UserError` for one that cannot be used, or that needs more memory than is `free`.
    """
    chosen = settings.engine
    try:
        engine = Engine.load(
            chosen.model or NANO,
            threads=chosen.threads,
            device=chosen.device,
            quantise=chosen.quantise,
            free=free,
        )
    except CheckpointError as error:
        raise UserError(f"engine.model: {error}") from error
    plugins = intents()
    speller = Speller(engine.checkpoint, lambda: plugins.templates, engine.read)
    known = partial(_is_template, plugins)
    sure = engine.checkpoint.manifest.decoding.least_surety
    propose = plugins.candidates
    mind = EngineMind(engine, propose, known, chosen, speller.hear, least_surety=sure)
    mind.warm_up()
    return mind


class EngineMind:
    """The real one.

    A model that spells is read, and only the answer denoised; of any other, transcript and answer
    are denoised in one batch over the same prefix.
    """

    def __init__(
        self,
        engine: Engine,
        propose: Callable[[str, int], Sequence[str]],
        known: Callable[[str], bool],
        settings: EngineSettings,
        spelled: Callable[[Prefix], Sequence[Heard]] = lambda _: (),
        *,
        least_surety: float = 0.0,
    ) -> None:
        """`propose` gives sentences near a transcript, `known` tells those in a plugin's words.

        `spelled` gives those that the sound itself spells, best first; none, of a model that does
        not spell. An answer whose tokens are less probable than `least_surety` is not given.
        """
        self._engine, self._weigher = engine, Weigher(engine, propose, known)
        self._spelled, self._least_surety = spelled, least_surety
        self._schedule = replace(engine.schedule, rule=Threshold(settings.threshold))
        self._longest_answer = settings.max_new_tokens

    @property
    def engine(self) -> Engine:
        """What understands, for what else it can do."""
        return self._engine

    @property
    def name(self) -> str:
        """As `model.toml` has it."""
        return self._engine.checkpoint.manifest.name

    @property
    def longest_s(self) -> float:
        """As `model.toml` has it."""
        return self._engine.checkpoint.manifest.audio.longest_s

    def warm_up(self) -> None:
        """Run every graph once, so that the first turn is as quick as the others."""
        prefix = self._engine.encode(np.zeros(SAMPLE_RATE_HZ, np.int16))
        at_once = replace(
            self._schedule, rule=Exactly(self._schedule.block_length), max_new_tokens=1
        )
        self._generate([Ask("answer", prefix, schedule=at_once)], Cancel())
        if self._engine.spells:  # each, for silence is read no further than that it is silence
            self._engine.read(prefix)
            self._spelled(prefix)
            self._engine.recall(prefix)
        else:
            self._engine.score(["hello"], "transcribe", prefix)

    def understand(self, cancel: Cancel, audio: NDArray[np.int16]) -> Understanding:
        """Encode once; transcribe and answer; look among the plugins' sentences."""
        started = time.perf_counter()
        prefix = self._engine.encode(audio)
        encoded = time.perf_counter()
        if not self._engine.spells:
            said = self._write(prefix, cancel)
        else:
            said = self._read(prefix)
            if said.transcript and not said.answer:
                said = self._answer(said, prefix, cancel)
        return Understanding(
            transcript=said.transcript,
            confidence=round(said.confidence, 3),
            answer=said.answer,
            passes=said.passes,
            encode_ms=round((encoded - started) * 1000, 1),
            decode_ms=round((time.perf_counter() - encoded) * 1000, 1),
        )

    def transcribe(self, cancel: Cancel, audio: NDArray[np.int16]) -> str:
        """Transcribe alone."""
        prefix = self._engine.encode(audio)
        if self._engine.spells:
            reading = self._engine.read(prefix)
            return reading.text if reading is not None else ""
        (text,), _ = self._generate([self._ask("transcribe", prefix, TRANSCRIPT_TOKENS)], cancel)
        return text

    def recall(self, text: str) -> str:
        """What the model knows by heart."""
        return self._engine.known_answer(spoken.normalise(text))

    def _read(self, prefix: Prefix) -> "_Said":
        """What the sound spells: a sentence of a plugin, a question known by heart, or words."""
        reading = self._engine.read(prefix)
        if reading is None:
            return _Said("", 0.0)
        command = next(iter(self._spelled(prefix)), None)
        known = self._engine.recall(prefix)
        fitting: list[tuple[float, _Said]] = []
        if command is not None and _fits(command):
            said = _Said(command.sentence, math.exp(-command.loss))
            fitting.append((command.loss - FAVOUR, said))
        if known is not None and known.loss <= KNOWN_LOSS:
            said = _Said(known.question, math.exp(-known.loss), known.answer)
            fitting.append((known.loss, said))
        if fitting:
            return min(fitting, key=itemgetter(0))[1]
        return _Said(reading.text, math.exp(-reading.loss), self.recall(reading.text))

    def _answer(self, said: "_Said", prefix: Prefix, cancel: Cancel) -> "_Said":
        """Denoise an answer; one that has to be sure is given up when it takes too long."""
        asked, most = itertools.count(), MOST_PASSES if self._least_surety else math.inf
        asks = [self._ask("answer", prefix, self._longest_answer)]
        (answer,), blocks = self._generate(asks, cancel, lambda: cancel() or next(asked) >= most)
        if not any(block.last for block in blocks):
            return replace(said, passes=MOST_PASSES)
        sure = _surety(blocks, ask=0) >= self._least_surety
        return replace(said, answer=answer if sure else "", passes=_passes(blocks))

    def _write(self, prefix: Prefix, cancel: Cancel) -> "_Said":
        """Denoise transcript and answer in one batch, and weigh the transcript against plugins."""
        asks = [
            self._ask("transcribe", prefix, TRANSCRIPT_TOKENS),
            self._ask("answer", prefix, self._longest_answer),
        ]
        (transcript, answer), blocks = self._generate(asks, cancel)
        sure = _surety(blocks, ask=1) >= self._least_surety
        passes = _passes(blocks)
        weighed, more = self._weigher.weigh(transcript, prefix, cancel)
        return _Said(weighed, _surety(blocks, ask=0), answer if sure else "", passes + more)

    def _ask(self, prompt: str, prefix: Prefix, tokens: int) -> Ask:
        schedule: Schedule = replace(self._schedule, max_new_tokens=tokens)
        return Ask(prompt, prefix, schedule=schedule)

    def _generate(
        self, asks: list[Ask], cancel: Cancel, enough: Callable[[], bool] | None = None
    ) -> tuple[list[str], list[TextBlock]]:
        try:
            blocks = list(self._engine.generate(asks, enough or cancel))
        except (RequestError, NotEnoughMemoryError) as error:
            raise UserError(f"engine.model {self.name}: {error}") from error
        cancel.check()
        return [
            _join(b.text for b in blocks if b.ask == index) for index in range(len(asks))
        ], blocks


@dataclass(frozen=True, slots=True)
class _Said:
    """An utterance as it is understood, but for the times; see `Understanding`."""

    transcript: str
    confidence: float
    answer: str = ""
    passes: int = 0


def _fits(command: Heard) -> bool:
    return command.loss + FREEDOM_COST * command.freedom <= SPELLED_LOSS


def _passes(blocks: Sequence[TextBlock]) -> int:
    return max((block.passes for block in blocks), default=0)


def _surety(blocks: Sequence[TextBlock], ask: int) -> float:
    """Mean probability of the tokens of one response."""
    probabilities = [p for block in blocks if block.ask == ask for p in block.confidence]
    return float(np.mean(probabilities)) if probabilities else 0.0


def _is_template(intents: Intents, text: str) -> bool:
    """Whether these are a plugin's very words; near ones are first weighed against the sound."""
    return any(match.confidence == 1.0 for match in intents.match(text))


def _join(parts: Iterable[str]) -> str:
    return "".join(parts).strip()
