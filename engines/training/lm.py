"""Stage `lm`: the language model learns to read, copy and answer from text alone.

Before it meets a sound, each request is shown to it the way the speech encoder will spell it: one
slot for each piece, some missing, some wrong, some unsure. So it learns to transcribe and to
answer at the price of text, and aligning real audio afterwards is a short step.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn

from engines.llada import LLaDA
from engines.training.diffusion import diffusion_loss, mask_responses
from engines.training.vocabulary import SPECIAL, special_ids

_POOL = 6
"""Batches are drawn this many at a time and sorted by length."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What is said and what is answered; an empty answer is for transcribing only."""

    text: str
    answer: str = ""
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Spelling:
    """A text in the slots of an imagined speech encoder, all [slots]."""

    ids: NDArray[np.int64]
    rivals: NDArray[np.int64]
    """The pieces that the encoder confuses them with."""
    doubt: NDArray[np.float32]
    """Share of the rival in each slot, 0 to 1."""


def imagine(
    ids: list[int], rng: np.random.Generator, *, slots: int, empty: int, first: int, size: int
) -> Spelling:
    """Spell `ids` with the errors of a random listener, from a perfect one to a poor one.

    Wrong pieces are drawn from `first` to `size`; slots that are left over hold `empty`.
    """
    errors = float(rng.choice([0.0, rng.uniform(0, 0.15), rng.uniform(0.1, 0.35)]))
    heard: list[int] = []
    for token in ids:
        luck = rng.random()
        if luck < errors * 0.6:
            heard.append(int(rng.integers(first, size)))
        elif luck > errors * 0.8:
            heard.append(token)
        if rng.random() < errors * 0.2:
            heard.append(int(rng.integers(first, size)))
    count = min(len(heard), slots)
    filled = np.full(slots, empty)
    filled[:count] = heard[:count]
    doubt = np.where(rng.random(slots) < errors, rng.random(slots), rng.random(slots) * errors)
    doubt[count:] = 0
    return Spelling(filled, rng.integers(first, size, slots), (doubt * 0.8).astype(np.float32))


class TextBatches:
    """Pairs as imagined speech with masked responses."""

    def __init__(
        self,
        pairs: list[Pair],
        tokenizer: Tokenizer,
        *,
        size: int,
        block_length: int,
        acoustic: int,
        slots: int,
        seed: int = 0,
    ) -> None:
        self.pairs, self.tokenizer, self.slots = pairs, tokenizer, slots
        self.size, self.block_length, self.acoustic, self.seed = size, block_length, acoustic, seed
        weights = np.array([pair.weight for pair in pairs])
        self._cumulative = np.cumsum(weights / weights.sum())
        self._special = special_ids(tokenizer)

    def batch(self, step: int) -> dict[str, Any]:
        """`ids`, `rivals` and `doubt` of the prefix, each [B, slots]; `masked` responses."""
        rng = np.random.default_rng((self.seed, step))
        chosen = self._draw(rng)
        spellings, prompts, responses = [], [], []
        for pair in chosen:
            ids = self.tokenizer.encode(pair.text).ids
            spellings.append(
                imagine(
                    ids,
                    rng,
                    slots=self.slots,
                    empty=self._special["endoftext"],
                    first=len(SPECIAL),
                    size=self.tokenizer.get_vocab_size(),
                )
            )
            answers = bool(pair.answer) and rng.random() < 0.6
            prompts.append([self._special["answer" if answers else "transcribe"]])
            responses.append(self.tokenizer.encode(pair.answer).ids if answers else ids)
        masked = mask_responses(
            prompts,
            responses,
            block_length=self.block_length,
            mask_id=self._special["mask"],
            eos_id=self._special["endoftext"],
            rng=rng,
        )
        prefix = _stack(spellings)
        seed = int(rng.integers(2**31))
        return {"masked": masked, "noise_seed": seed, "acoustic": self.acoustic, **prefix}

    def _draw(self, rng: np.random.Generator) -> list[Pair]:
        """Pairs of like length, so that little of a batch is padding."""
        places = np.searchsorted(self._cumulative, rng.random(_POOL * self.size))
        pool = [self.pairs[min(int(i), len(self.pairs) - 1)] for i in places]
        pool.sort(key=lambda pair: len(pair.text))
        start = self.size * int(rng.integers(_POOL))
        return pool[start : start + self.size]


def _stack(spellings: list[Spelling]) -> dict[str, Tensor]:
    return {
        "ids": torch.from_numpy(np.stack([s.ids for s in spellings])),
        "rivals": torch.from_numpy(np.stack([s.rivals for s in spellings])),
        "doubt": torch.from_numpy(np.stack([s.doubt for s in spellings])),
    }


def imagined_prefix(lm: LLaDA, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Embeddings [B, A + slots, d] and lengths: meaningless acoustic places, then the spelling."""
    doubt = batch["doubt"][..., None]
    semantic = (1 - doubt) * lm.embed(batch["ids"]) + doubt * lm.embed(batch["rivals"])
    generator = torch.Generator().manual_seed(batch["noise_seed"])
    size = (semantic.shape[0], batch["acoustic"], semantic.shape[2])
    scale = lm.model.transformer.wte.weight.detach().std()
    acoustic = torch.randn(size, generator=generator).to(semantic) * scale
    prefix = torch.cat([acoustic, semantic], dim=1)
    return prefix, torch.full((len(prefix),), prefix.shape[1], device=prefix.device)


def lm_loss(block_length: int) -> Any:
    """The loss function of this stage, for `loop.run`."""

    def loss(model: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
        assert isinstance(model, LLaDA)  # noqa: S101 - narrows the type for mypy
        prefix, lengths = imagined_prefix(model, batch)
        value, restored = diffusion_loss(model, prefix, lengths, batch["masked"], block_length)
        return {"loss": value, "restored": restored}

    return loss
