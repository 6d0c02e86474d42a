"""Which optimiser moves which weights, and how fast."""

import math
from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import nn


class Optimisers:
    """Muon for the hidden matrices, AdamW for embeddings, norms, biases and convolutions.

    Source: Jordan et al. 2024; the rates are matched to AdamW's as in arXiv 2502.16982.
    """

    def __init__(
        self,
        model: nn.Module,
        weight_decay: float = 0.01,
        shares: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """Parameters whose names begin with a key of `shares` move at that share of the rate.

        Those were trained before, with AdamW, which is what they go on with.
        """
        moving = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        if not moving:
            raise ValueError("nothing to train: every parameter is frozen")
        new = [(n, p) for n, p in moving if not n.startswith(tuple(shares))]
        hidden = [p for n, p in new if p.ndim == 2 and not _is_edge(n)]
        rest = [p for n, p in new if p.ndim != 2 or _is_edge(n)]
        self.all: list[torch.optim.Optimizer] = []
        for prefix, share in shares.items():
            group = {"params": [p for n, p in moving if n.startswith(prefix)], "share": share}
            slow = torch.optim.AdamW([group], betas=(0.9, 0.98), weight_decay=weight_decay)
            self.all.append(slow)
        if rest:
            adam = torch.optim.AdamW(rest, betas=(0.9, 0.98), weight_decay=weight_decay)
            self.all.append(adam)
        if hidden:
            muon = torch.optim.Muon(
                hidden, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
            )
            self.all.append(muon)
        self.parameters = [p for _, p in moving]

    def step(self, rate: float, clip: float = 1.0) -> float:
        """Apply the gradients at learning rate `rate`; returns their norm before clipping.

        Gradients that are no numbers move nothing: they would spoil every weight for good.
        """
        norm = float(nn.utils.clip_grad_norm_(self.parameters, clip))
        for optimiser in self.all:
            for group in optimiser.param_groups:
                group["lr"] = rate * group.get("share", 1.0)
            if math.isfinite(norm):
                optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        return norm


def _is_edge(name: str) -> bool:
    """Embeddings and output heads, whose rows are words and not directions."""
    return any(part in name for part in ("wte", "transformer.ff_out", "head", "queries", "prompts"))
