"""Decoding against a second, slower writing of the published algorithm, on shapes of all kinds.

Whole-sequence logits, a float64 soft-max, one request, no batch: Fast-dLLM (arXiv 2505.22618),
section 3, step by step.
"""

import pytest
import torch

from engines.backends import Context
from engines.backends.torch import TorchBackend
from engines.decoding import Request, decode
from engines.schedule import Factor, Schedule, Steps, Threshold
from tests.engines.published import llada_shape, write_llada

SHAPES = {
    "one layer, shared keys": {"d_model": 24, "n_heads": 4, "n_kv_heads": 1, "n_layers": 1},
    "wide heads": {"d_model": 32, "n_heads": 2, "n_layers": 3, "mlp_hidden_size": 90},
}
RULES = {
    "one a pass": Steps(5),
    "three passes": Steps(3),
    "threshold": Threshold(0.3),
    "factor": Factor(1.4),
}
PROMPT, LENGTH, BLOCK = (3, 14, 15, 9, 26, 5, 35), 15, 5


class Store:
    """Keys and values of the whole sequence; a pass over part of it replaces its own."""

    def __init__(self):
        self.layers, self.start, self.end = {}, 0, None

    def update(self, layer, k, v):
        if self.start or self.end:
            old = self.layers[layer]
            k, v = (
                torch.cat([was[:, :, : self.start], new, was[:, :, self.end :]], dim=2)
                for was, new in zip(old, (k, v), strict=True)
            )
        self.layers[layer] = (k, v)
        return k, v


def granted(rule, ranked, passes):
    """How many of the probabilities, best first, are committed."""
    match rule:
        case Steps(per_block):
            base, extra = divmod(BLOCK, per_block)
            return base + (passes < extra)
        case Threshold(least):
            return max(1, sum(p >= least for p in ranked))
        case Factor(factor):
            safe = [n for n, p in enumerate(ranked, 1) if (n + 1) * (1 - p) < factor]
            return max(1, *safe, 1)


@torch.no_grad()
def slowly(model, rule, cache, cfg):
    mask, start = model.config.mask_token_id, len(PROMPT)
    x = torch.tensor([[*PROMPT, *[mask] * LENGTH]])
    total = 0

    def logits(ids, first, store):
        positions = torch.arange(first, first + ids.shape[1])[None]
        return model.logits(model(model.embed(ids), positions=positions, cache=store))[0]

    for begin in range(start, start + LENGTH, BLOCK):
        end, store, passes = begin + BLOCK, Store(), 0
        while (open_ := (x[0, begin:end] == mask).nonzero()[:, 0]).numel():
            first = begin if passes and cache != "none" else 0
            last = end if first and cache == "dual" else x.shape[1]
            store.start, store.end = first, last if first else None
            scores = logits(x[:, first:last], first, None if cache == "none" else store)
            if cfg:
                blind = x.clone()
                blind[0, :start] = mask
                against = logits(blind, 0, None)
                scores = against + (1 + cfg) * (scores - against)
            scores = scores[begin - first : end - first]
            scores[:, mask] = -torch.inf  # a model that proposes masks would never end
            best = scores.double().softmax(-1).max(-1)
            ranked = open_[best.values[open_].argsort(descending=True, stable=True)]
            count = granted(rule, best.values[ranked].tolist(), passes)
            x[0, begin + ranked[:count]] = best.indices[ranked[:count]]
            passes, total = passes + 1, total + 1
    return x[0, start:].tolist(), total


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize(
    ("cache", "cfg"), [("none", 0.0), ("none", 0.7), ("prefix", 0.0), ("dual", 0.0)]
)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_tokens_and_passes_are_the_slow_ones(tmp_path, shape, cache, cfg, rule):
    model = write_llada(tmp_path, llada_shape(**shape))
    schedule = Schedule(LENGTH, BLOCK, rule, cache, cfg_scale=cfg)
    backend = TorchBackend(model, forbidden=[model.config.mask_token_id])
    events = list(decode(backend, [Request(Context(PROMPT), schedule)]))
    made = [token for event in events for token in event.tokens]
    assert (made, events[-1].passes) == slowly(model, rule, cache, cfg)
