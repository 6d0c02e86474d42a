"""LLaDA's training loss, block by block.

Sources: arXiv 2502.09992, section 2.2; block-causal as in arXiv 2503.09573.

A response is padded with end-of-turn tokens to whole blocks. One of its blocks is picked, part of
it is masked, and the model restores it from the prefix, the prompt, the blocks before and what is
left of the block itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from engines.llada import LLaDA

SKEW = 3
"""Mask ratios are drawn as u^(1/SKEW): a reply begins from nothing but masks and is done in a few
passes, so a small model has more use for high ratios than LLaDA's even draw (SKEW 1) gives."""
PADDING_WEIGHT = 0.2
"""Weight of the end-of-turn tokens behind the first: two thirds of a block, and easy."""
LEAST_MASKED = 0.03
"""Lower end of the mask ratio: the weight 1/t must not explode."""


@dataclass(frozen=True, slots=True)
class Masked:
    """One batch of partly masked responses."""

    ids: Tensor
    """Prompt, earlier blocks and the masked block: [B, L]."""
    block: Tensor
    """Block number of each position, 0 for the prompt, -1 for padding: [B, L]."""
    targets: Tensor
    """The true token where one is masked, -100 elsewhere: [B, L]."""
    weights: Tensor
    """1 / mask ratio of the sample, less for padding: [B, L]."""

    def to(self, device: torch.device) -> "Masked":
        """The same on `device`."""
        tensors = (self.ids, self.block, self.targets, self.weights)
        return Masked(*(each.to(device) for each in tensors))


def mask_responses(
    prompts: Sequence[Sequence[int]],
    responses: Sequence[Sequence[int]],
    *,
    block_length: int,
    mask_id: int,
    eos_id: int,
    rng: np.random.Generator,
) -> Masked:
    """Pick and mask one block of each response; the ratios are spread evenly over the batch."""
    count = len(responses)
    ratios = (rng.permutation(count) + rng.random(count)) / count
    ratios = np.maximum(LEAST_MASKED, ratios ** (1 / SKEW))
    rows = []
    for prompt, response, ratio in zip(prompts, responses, ratios, strict=True):
        blocks = len(response) // block_length + 1
        padded = [*response, *[eos_id] * (blocks * block_length - len(response))]
        chosen = int(rng.integers(blocks))
        start = chosen * block_length
        target = np.array(padded[start : start + block_length])
        hidden = rng.random(block_length) < ratio
        hidden[rng.integers(block_length)] = True
        ids = [*prompt, *padded[:start], *np.where(hidden, mask_id, target)]
        numbers = [0] * len(prompt) + [1 + i // block_length for i in range(start + block_length)]
        targets = [-100] * (len(prompt) + start) + list(np.where(hidden, target, -100))
        places = np.arange(start, start + block_length)
        importance = np.where(places > len(response), PADDING_WEIGHT, 1.0) / ratio
        weights = [0.0] * (len(prompt) + start) + list(importance)
        rows.append((ids, numbers, targets, weights))
    longest = max(len(row[0]) for row in rows)

    def stack(part: int, filler: float) -> Tensor:
        padded_rows = [[*row[part], *[filler] * (longest - len(row[part]))] for row in rows]
        return torch.tensor(padded_rows)

    return Masked(stack(0, eos_id), stack(1, -1), stack(2, -100), stack(3, 0.0).float())


def diffusion_loss(
    lm: LLaDA, prefix: Tensor, prefix_lengths: Tensor, masked: Masked, block_length: int
) -> tuple[Tensor, Tensor]:
    """The weighted cross-entropy per response token, and the share of masked tokens restored.

    `prefix` is [B, P, d] with `prefix_lengths` [B]; it and the prompt are never masked.
    """
    place = prefix.device
    valid = torch.arange(prefix.shape[1], device=place)[None] < prefix_lengths[:, None]  # [B, P]
    embeddings = torch.cat([prefix, lm.embed(masked.ids)], dim=1)
    block = torch.cat([torch.where(valid, 0, -1), masked.block], dim=1)  # [B, S]
    present = block >= 0
    positions = (present.cumsum(1) - 1).clamp(min=0)
    sees = (block[:, None, :] <= block[:, :, None]) & present[:, None, :]  # [B, S, S]
    # a padding row would attend to nothing and turn into NaN
    sees |= torch.eye(block.shape[1], dtype=torch.bool, device=place)[None]
    hidden = lm(embeddings, mask=sees[:, None], positions=positions)
    hidden = hidden[:, prefix.shape[1] :]
    where = masked.targets >= 0
    logits = lm.logits(hidden[where]).float()
    targets = masked.targets[where]
    weights = masked.weights[where]
    losses = F.cross_entropy(logits, targets, reduction="none")
    restored = (logits.argmax(-1) == targets).float().mean()
    return (losses * weights).sum() / (len(masked.weights) * block_length), restored
