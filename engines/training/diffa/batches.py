"""What one micro-batch of a step holds, drawn from the seed and its number alone.

A step is a fixed number of micro-batches, whoever computes them: one process all of them, or
several processes some each. So the number of processes changes the time and not the result.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Self

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from engines.checkpoints import AUDIO
from engines.features import HOP, SAMPLE_RATE_HZ, log_mel
from engines.prompts import END_OF_TURN, heard
from engines.shapes import LLaDAConfig
from engines.training.diffa.pairs import Pair, PairsError
from engines.training.speech import read_speech

LEAST_MASKED = 1e-3
"""Lower end of the mask ratio: the weight 1/t must not explode."""
SHORTEST_S = 0.1
TRIES = 100
"""So many pairs in a row without sound, and something is wrong with all of them."""


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Some clips, what is asked about them, and their partly masked responses."""

    features: Tensor
    """[B, mels, frames], silence behind the clip, as Whisper wants it."""
    lengths: Tensor
    """Feature frames that are real: [B]."""
    ids: Tensor
    """Prompt and response, end padding behind: [B, L]."""
    heads: Tensor
    """Tokens of the prompt before the prefix: [B]."""
    targets: Tensor
    """The true token where one is masked, -100 elsewhere: [B, L]."""
    weights: Tensor
    """1 / mask ratio of each clip: [B]."""
    responses: int
    """Tokens of all rows that are no prompt: what the loss is divided by."""
    seconds: float
    """Of audio."""
    unheard: tuple[str, ...]
    """Pairs that gave their place to others, and why."""

    def to(self, device: torch.device) -> Self:
        """The same with its large tensors on `device`."""
        return replace(self, features=self.features.to(device), ids=self.ids.to(device))


@dataclass(frozen=True, slots=True)
class Limits:
    """What the models take."""

    mels: int
    frames: int
    """Feature frames of Whisper's window."""
    prefix: int
    """Embeddings of the longest prefix."""


class MicroBatches:
    """All micro-batches of a stage, each the same whenever it is asked for."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        tokenizer: Tokenizer,
        lm: LLaDAConfig,
        limits: Limits,
        *,
        size: int,
        seed: int,
    ) -> None:
        self.pairs, self.tokenizer, self.lm, self.limits = pairs, tokenizer, lm, limits
        self.size, self.seed = size, seed
        end = tokenizer.token_to_id(END_OF_TURN)
        self._end = lm.eos_token_id if end is None else end

    def draw(self, number: int) -> MicroBatch:
        """Micro-batch `number` of the stage; epochs follow each other without a gap.

        Raises `PairsError` where nothing can be heard.
        """
        places = range(number * self.size, (number + 1) * self.size)
        unheard: list[str] = []
        rows = [self._row(place, unheard) for place in places]
        longest = max(len(row.ids) for row in rows)
        ids = np.full((len(rows), longest), self.lm.eos_token_id)
        targets = np.full((len(rows), longest), -100)
        weights = np.zeros(len(rows))
        for at, (row, place) in enumerate(zip(rows, places, strict=True)):
            rng = np.random.default_rng((self.seed, place))
            ids[at, : len(row.ids)] = row.ids
            weights[at] = self._mask(ids[at], targets[at], row.prompt, rng)
        return MicroBatch(
            features=torch.from_numpy(np.stack([self._features(row.wave) for row in rows])),
            lengths=torch.tensor([-(-len(row.wave) // HOP) for row in rows]),
            ids=torch.from_numpy(ids),
            heads=torch.tensor([row.head for row in rows]),
            targets=torch.from_numpy(targets),
            weights=torch.from_numpy(weights).float(),
            responses=sum(longest - row.prompt for row in rows),
            seconds=sum(len(row.wave) for row in rows) / SAMPLE_RATE_HZ,
            unheard=tuple(unheard),
        )

    def _mask(
        self,
        ids: NDArray[np.int64],
        targets: NDArray[np.int64],
        prompt: int,
        rng: np.random.Generator,
    ) -> float:
        """Mask part of what is behind the prompt, end padding included; returns the weight."""
        ratio = LEAST_MASKED + (1 - LEAST_MASKED) * rng.random()
        hidden = rng.random(len(ids)) < ratio
        hidden[:prompt] = False
        targets[hidden] = ids[hidden]
        ids[hidden] = self.lm.mask_token_id
        return 1 / ratio

    def _row(self, place: int, unheard: list[str]) -> "_Row":
        """The pair at a place of the endless order, or the next that can be heard."""
        epoch, at = divmod(place, len(self.pairs))
        order = _order(self.seed, epoch, len(self.pairs))
        for offset in range(min(TRIES, len(order))):
            pair = self.pairs[order[(at + offset) % len(order)]]
            try:
                return self._read(pair)
            except (OSError, ValueError, soundfile.LibsndfileError) as error:
                unheard.append(f"{pair.audio}: {' '.join(str(error).split())}")
        raise PairsError(
            f"{len(unheard)} pairs in a row cannot be heard, the last being {unheard[-1]}; "
            "mend the recordings or the pairs"
        )

    def _read(self, pair: Pair) -> "_Row":
        seconds = soundfile.info(str(pair.audio)).duration
        if not SHORTEST_S <= seconds <= self.limits.frames * HOP / SAMPLE_RATE_HZ:
            raise ValueError(f"{seconds:.2f} s is too short or too long")
        wave = read_speech(pair.audio)[: self.limits.frames * HOP].astype(np.float32)
        wave /= np.float32(32768)
        before, _, after = heard(pair.instruction).partition(AUDIO)
        # together, so that the prefix leaves the words around it as they would be without
        prompt, head = self._ids(before + after), len(self._ids(before))
        ids = [*prompt, *self._ids(pair.target), self._end]
        if len(ids) + self.limits.prefix > self.lm.max_sequence_length:
            raise ValueError(f"{len(ids)} tokens do not fit the language model's context")
        return _Row(wave, ids, len(prompt), head)

    def _ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def _features(self, wave: NDArray[np.float32]) -> NDArray[np.float32]:
        whole = np.pad(wave, (0, self.limits.frames * HOP - len(wave)))
        return log_mel(whole, self.limits.mels)


@dataclass(frozen=True, slots=True)
class _Row:
    wave: NDArray[np.float32]
    ids: list[int]
    prompt: int
    head: int


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, epoch, count)).permutation(count)
