"""The engine: sound in, text out, several requests at a time.

Nothing here needs torch when the folder holds `lm.onnx`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from engines.backends import Backend, Context, RequestError
from engines.checkpoints import AUDIO, TEXT, AudioLimits, Checkpoint
from engines.decoding import BlockEvent, Decoder, Request, decode
from engines.features import HOP, SAMPLE_RATE_HZ, log_mel
from engines.known import known_words
from engines.memory import FreeBytes, Quantise, free_bytes
from engines.opening import Device, open_model
from engines.pauses import cut
from engines.schedule import Floats, Schedule, Threshold
from engines.scoring import score
from engines.spelling import pieces_of
from engines.stock import Recalled
from engines.words import Reading

SHORTEST = 4 * HOP * 8
"""Samples that shorter audio is padded to, so that every encoder has a frame to look at; one that
has every clip padded looks at the real frames alone, be they few."""
QUIET = 800
"""Samples of quiet before and after audio of any length: what begins with its first sound lost its
first word. Measured: 11.6 in 100 words of synthetic voices wrong without, 8.6 with 50 ms, 9.0 with
100; 21.0 and 20.3 of people, who pause before they speak."""

HALF = "\ufffd"
"""What the first bytes of a character are decoded to, while the others are not there."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """What the language model hears."""

    embeddings: Any
    """[P, d_model], in numpy, or in torch where it stays on the device."""
    seconds: float
    """Length of the audio it was made of."""
    spelling: Floats | None = None
    """Log-probability of every piece in every encoder frame, [S, V], of a model that spells (by
    CTC, its mask token being the blank)."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One response wanted."""

    prompt: str
    """The name of a prompt in `model.toml`, such as `transcribe` or `answer`."""
    prefix: Prefix | None = None
    text: str = ""
    """The caller's own words, for prompts that take some."""
    schedule: Schedule | None = None
    """How to decode; the checkpoint's own way if none. Stop tokens are the checkpoint's."""
    template: tuple[int | None, ...] = ()
    """Tokens of the response given in advance, None where the model decides."""
    stops: bool = True
    """A stop token ends the response; if not, what is behind it is decoded and told, too."""


@dataclass(frozen=True, slots=True)
class TextBlock:
    """A finished piece of a response."""

    ask: int
    """Index of its `Ask`."""
    text: str
    """What it adds to the response."""
    confidence: tuple[float, ...]
    """Probability of each token when it was committed."""
    passes: int
    """Passes spent on the response so far."""
    last: bool
    stopped: bool
    """The response ended by itself, not for want of room."""


@dataclass(frozen=True, slots=True)
class Score:
    """How probable a text is."""

    total: float
    """Log-probability of all its tokens and of its end."""
    mean: float
    """The same for each token."""


class Engine:
    """A checkpoint, loaded. Use it from one thread at a time."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        backend: Backend,
        *,
        threads: int = 2,
        device: Device = "cpu",
    ) -> None:
        """Take a language model and open the encoder's graph; `load` does both."""
        from engines.listening import Listener

        self.checkpoint, self.backend = checkpoint, backend
        # onnxruntime's language model takes its prefix from the CPU
        keep = getattr(getattr(backend, "device", None), "type", "cpu") == "cuda"
        self._listen = Listener(
            checkpoint.encoder,
            mels=checkpoint.manifest.audio.mels,
            size=checkpoint.manifest.lm.d_model,
            threads=threads,
            device=device,
            keep=keep,
        )
        self._reader, self._stock = known_words(checkpoint)

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        threads: int = 2,
        device: Device = "auto",
        quantise: Quantise = "none",
        free: FreeBytes = free_bytes,
    ) -> Self:
        """Open a checkpoint folder; see `engines.opening`.

        Raises `CheckpointError` for one that cannot be used, and for one that does not fit.
        """
        checkpoint = Checkpoint.open(folder)
        backend = open_model(
            checkpoint, threads=threads, device=device, quantise=quantise, free=free
        )
        return cls(checkpoint, backend, threads=threads, device=device)

    @property
    def schedule(self) -> Schedule:
        """How the checkpoint is decoded by default."""
        return default_schedule(self.checkpoint)

    def encode(self, audio: NDArray[np.int16] | NDArray[np.floating]) -> Prefix:
        """Turn mono audio at 16 kHz, int16 or -1..1, [samples], into a prefix.

        Audio over the model's limit is cut at a silence, with a warning in the log. Raises
        `RequestError` for samples that are no finite numbers.
        """
        wave = audio.astype(np.float32)
        if not np.isfinite(wave).all():
            raise RequestError("the audio has samples that are not finite numbers; record it again")
        if np.issubdtype(audio.dtype, np.integer):
            wave /= np.float32(32768)
        limits = self.checkpoint.manifest.audio
        wave = cut(wave, limits.longest_s)
        seconds = len(wave) / SAMPLE_RATE_HZ
        wave, frames = _framed(wave, limits)
        features = log_mel(wave, limits.mels)[None]
        prefix, spelling = self._listen(features, frames)
        return Prefix(prefix, seconds, spelling)

    @property
    def spells(self) -> bool:
        """Whether the encoder spells what it hears, so that no transcript need be denoised."""
        return self._listen.spells

    def read(self, prefix: Prefix) -> Reading | None:
        """What a sound spells, in the words of the checkpoint; without any, as it is spelled.

        None for silence, and for a model that does not spell.
        """
        if prefix.spelling is None:
            return None
        blank = self.checkpoint.manifest.lm.mask_token_id
        if self._reader is not None:
            return self._reader.read(prefix.spelling, blank)
        text = self._text(pieces_of(prefix.spelling, blank)).strip()
        return Reading(text, float(prefix.spelling.max(1).sum()), 0.0) if text else None

    def recall(self, prefix: Prefix) -> Recalled | None:
        """The question known by heart that a sound is likeliest to be; None without any."""
        if self._stock is None or prefix.spelling is None:
            return None
        return self._stock.recall(prefix.spelling, self.checkpoint.manifest.lm.mask_token_id)

    def known_answer(self, question: str) -> str:
        """The answer to a question known by heart, in the words as said; empty for any other."""
        return self._stock.answer(question) if self._stock is not None else ""

    def generate(
        self, asks: Sequence[Ask], cancel: Callable[[], bool] = lambda: False
    ) -> Iterator[TextBlock]:
        """Stream the responses to all `asks`, denoised in one batch, block by block.

        `cancel` is asked between passes. Raises `RequestError` for an unknown prompt and for what
        does not fit the model's context.
        """
        requests = [self._request(ask) for ask in asks]
        told = [_Told(self._text) for _ in asks]
        for event in decode(self.backend, requests, cancel):
            yield told[event.handle].more(event)

    def batch(self, size: int = 8) -> "Batch":
        """Room for up to `size` asks at a time, which come and go between passes."""
        return Batch(self, size)

    def score(
        self, candidates: Sequence[str], prompt: str, prefix: Prefix | None = None, text: str = ""
    ) -> list[Score]:
        """Weigh texts as responses to one prompt, all in one batch; see `engines.scoring`."""
        tokenizer = self.checkpoint.tokenizer
        ids = [tokenizer.encode(each, add_special_tokens=False).ids for each in candidates]
        context = self._context(Ask(prompt, prefix, text))
        end_id = self.checkpoint.stop_ids[0]
        scores = score(self.backend, context, ids, self.schedule, end_id=end_id)
        return [Score(float(each.sum()), float(each.mean())) for each in scores]

    def _request(self, ask: Ask) -> Request:
        stop_ids = self.checkpoint.stop_ids if ask.stops else ()
        schedule = replace(ask.schedule or self.schedule, stop_ids=stop_ids)
        return Request(self._context(ask), schedule, ask.template)

    def _context(self, ask: Ask) -> Context:
        prompts = self.checkpoint.manifest.prompts
        if ask.prompt not in prompts:
            raise RequestError(f"no prompt {ask.prompt!r}; this model has {', '.join(prompts)}")
        before, _, after = prompts[ask.prompt].partition(AUDIO)
        before, after = (part.replace(TEXT, ask.text) for part in (before, after))
        # together, so that the prefix leaves the words around it as they would be without
        whole = self._ids(before + after)
        embeddings = None if ask.prefix is None else ask.prefix.embeddings
        return Context(tuple(whole), embeddings, len(self._ids(before)))

    def _ids(self, text: str) -> list[int]:
        return self.checkpoint.tokenizer.encode(text, add_special_tokens=False).ids if text else []

    def _text(self, ids: Sequence[int]) -> str:
        return self.checkpoint.tokenizer.decode(list(ids), skip_special_tokens=True)


def _framed(wave: Floats, limits: AudioLimits) -> tuple[Floats, int]:
    """Audio as the encoder takes it, and how many of its frames are heard."""
    longest = round(limits.longest_s * SAMPLE_RATE_HZ)
    if limits.padded:
        return np.pad(wave, (0, max(0, longest - len(wave)))), -(-max(len(wave), 1) // HOP)
    wave = np.pad(wave, max(0, min(QUIET, (longest - len(wave)) // 2)))
    frames = -(-max(len(wave), SHORTEST) // HOP)
    return np.pad(wave, (0, frames * HOP - len(wave))), frames


def default_schedule(checkpoint: Checkpoint) -> Schedule:
    """How a checkpoint is decoded by default."""
    defaults = checkpoint.manifest.decoding
    return Schedule(
        max_new_tokens=defaults.max_new_tokens,
        block_length=defaults.block_length,
        rule=Threshold(defaults.threshold),
        cache=defaults.cache,
        cautious_end=defaults.cautious_end,
        stop_ids=checkpoint.stop_ids,
    )


class Batch:
    """Asks denoised together: a new one takes the place of a finished one at the next pass."""

    def __init__(self, engine: Engine, size: int) -> None:
        self._engine, self._decoder = engine, Decoder(engine.backend, batch=size)
        self._told: dict[int, _Told] = {}

    def add(self, ask: Ask) -> int:
        """Queue an ask and return what its blocks name it; raises `RequestError` as `generate`."""
        request = self._engine._request(ask)  # noqa: SLF001 - two halves of one facade
        length = len(request.context) + request.schedule.blocks * request.schedule.block_length
        longest = self._engine.checkpoint.manifest.lm.max_sequence_length
        if length > longest:
            raise RequestError(f"{length} positions asked for, the model has {longest}")
        handle = self._decoder.add(request)
        self._told[handle] = _Told(self._engine._text)  # noqa: SLF001
        return handle

    def step(self) -> list[TextBlock]:
        """Run one pass; return the blocks it finished."""
        blocks = []
        for event in self._decoder.step():
            blocks.append(self._told[event.handle].more(event))
            if event.last:
                del self._told[event.handle]
        return blocks

    def close(self) -> None:
        """Forget all asks."""
        self._decoder.close()


class _Told:
    """What has been told of one response."""

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode, self._tokens, self._length = decode, list[int](), 0

    def more(self, event: BlockEvent) -> TextBlock:
        """What a finished block adds; a character cut in two by its end is told with the next."""
        self._tokens += event.tokens
        text = self._decode(self._tokens)
        if not event.last:
            text = text.rstrip(HALF)
        told, self._length = self._length, max(self._length, len(text))
        return TextBlock(
            ask=event.handle,
            text=text[told:],
            confidence=event.confidence,
            passes=event.passes,
            last=event.last,
            stopped=event.stopped,
        )
