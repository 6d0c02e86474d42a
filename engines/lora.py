"""Low-rank updates of the language model (Hu et al. 2021), as DIFFA-2 publishes them."""

import re
from itertools import product
from pathlib import Path

import torch
from torch import Tensor

from engines.checkpoints import CheckpointError
from engines.llada import LLaDA

ALPHA = 16.0
"""DIFFA-2's scale: an update counts `ALPHA / rank`."""

_NAME = re.compile(
    r"(?:.*\.)?(model\.transformer\.blocks\.\d+\.\w+)\.lora_([AB])(?:\.\w+)?\.weight"
)

Updates = dict[str, dict[str, Tensor]]
"""Both factors, `A` [rank, in] and `B` [out, rank], by the name of the weight they update."""


def take_lora(tensors: dict[str, Tensor]) -> Updates:
    """Take the low-rank factors out of `tensors`."""
    updates: Updates = {}
    for name in list(tensors):
        if match := _NAME.fullmatch(name):
            updates.setdefault(f"{match[1]}.weight", {})[match[2]] = tensors.pop(name)
    return updates


@torch.no_grad()
def merge_lora(model: LLaDA, updates: Updates, source: Path, alpha: float = ALPHA) -> None:
    """Add the updates to the weights; raise `CheckpointError` for one that does not fit."""
    weights = dict(model.named_parameters())
    kinds = {name.split(".")[-2] for name in updates}
    for layer, kind in product(range(model.config.n_layers), sorted(kinds)):
        name = f"model.transformer.blocks.{layer}.{kind}.weight"
        if name not in updates:
            raise CheckpointError(f"{source}: low-rank update of {name} is missing")
    for name, factors in updates.items():
        weight = weights.get(name)
        if weight is None or factors.keys() != {"A", "B"}:
            raise CheckpointError(f"{source}: low-rank update of {name} has no counterpart")
        up, down = factors["B"].to(weight.device).float(), factors["A"].to(weight.device).float()
        if (up.shape[0], down.shape[1]) != weight.shape or up.shape[1] != down.shape[0]:
            raise CheckpointError(
                f"{source}: low-rank update of {name} is {list(up.shape)} by {list(down.shape)}, "
                f"not of {list(weight.shape)}; another model's"
            )
        weight.copy_(weight.float() + alpha / len(down) * up @ down)
