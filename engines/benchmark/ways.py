"""The ways to decode that are timed against each other: each yields after every pass."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from engines.backends import Context
from engines.backends.graphs import cuda_capture
from engines.backends.torch import TorchBackend
from engines.decoding import Decoder, Request
from engines.llada import LLaDA
from engines.schedule import CacheKind, Exactly, Schedule
from engines.shapes import LLaDAConfig

PREFIX = 250
"""Positions before the response: ten seconds of speech and a prompt."""


REFERENCE, AUTOREGRESSIVE = "reference", "autoregressive"


@dataclass(frozen=True, slots=True)
class Way:
    """A way to decode."""

    run: Callable[[], Iterator[None]]
    passes: int
    """How often it is expected to yield."""


class Ways:
    """One model, one prefix, and each way to make `new_tokens` behind it, `batch` at a time."""

    def __init__(self, model: LLaDA, new_tokens: int, block_length: int, batch: int) -> None:
        self.model, self.new, self.block, self.batch = model, new_tokens, block_length, batch
        weight = model.model.transformer.wte.weight
        # as `engines.opening` opens it
        self.backend = TorchBackend(
            model,
            forbidden=[model.config.mask_token_id],
            capture=cuda_capture if weight.device.type == "cuda" else None,
        )
        self.prefix = torch.randn(PREFIX, model.config.d_model).to(weight) * weight.std()

    def all(self, k: int) -> dict[str, Way]:
        """Name every way; the fastest commits exactly `k` tokens a pass."""
        fewer = self.new // self.block * -(-self.block // k)
        return {
            REFERENCE: Way(self.reference, self.new),
            "prefix": Way(lambda: self.cached("prefix", 1), self.new),
            "dual": Way(lambda: self.cached("dual", 1), self.new),
            f"dual-k{k}": Way(lambda: self.cached("dual", k), fewer),
            AUTOREGRESSIVE: Way(self.autoregressive, self.new),
        }

    def cached(self, cache: CacheKind, k: int) -> Iterator[None]:
        """Decode as this project does, exactly `k` tokens a pass."""
        decoder = Decoder(self.backend, batch=self.batch)
        request = Request(
            Context((), self.prefix), Schedule(self.new, self.block, Exactly(k), cache)
        )
        for _ in range(self.batch):
            decoder.add(request)
        while decoder.busy:
            decoder.step()
            yield

    def reference(self) -> Iterator[None]:
        """Recompute everything, weigh the whole vocabulary everywhere, commit one token."""
        mask = self.model.config.mask_token_id
        x = torch.full((self.batch, self.new), mask, device=self.prefix.device)
        for step in range(self.new):
            self._reference_pass(x, step // self.block * self.block)
            yield

    @torch.inference_mode()
    def _reference_pass(self, x: Tensor, start: int) -> None:
        """Commit the surest token of the block at `start` in every row of `x` [B, new]."""
        model, mask = self.model, self.model.config.mask_token_id
        embeddings = torch.cat([self.prefix.expand(self.batch, -1, -1), model.embed(x)], dim=1)
        logits = model.logits(model(embeddings))  # [B, PREFIX + new, V]
        logits[..., mask] = -torch.inf
        sure, tokens = logits.double().softmax(-1).max(-1)
        here, there = slice(start, start + self.block), slice(PREFIX + start, None)
        open_ = x[:, here] == mask
        at = sure[:, there][:, : self.block].masked_fill(~open_, -1).argmax(-1, keepdim=True)
        x[:, here].scatter_(1, at, tokens[:, there].gather(1, at))

    def autoregressive(self) -> Iterator[None]:
        """Decode left to right with a cache, a token a pass, as a causal model would."""
        cache = _Growing(self.model.config, self.batch, PREFIX + self.new, self.prefix)
        token = self._read_prefix(cache)
        yield
        for position in range(PREFIX, PREFIX + self.new - 1):
            token = self._next(cache, token, position)
            yield

    @torch.inference_mode()
    def _read_prefix(self, cache: "_Growing") -> Tensor:
        """Fill the cache and return the first token [B, 1]."""
        causal = torch.ones(PREFIX, PREFIX, dtype=torch.bool, device=self.prefix.device).tril()
        embeddings = self.prefix.expand(self.batch, -1, -1)
        hidden = self.model(embeddings, mask=causal[None, None], cache=cache)
        return self.model.logits(hidden[:, -1:]).argmax(-1)

    @torch.inference_mode()
    def _next(self, cache: "_Growing", token: Tensor, position: int) -> Tensor:
        """Return the token [B, 1] that follows `token` at `position`."""
        cache.length = position
        positions = torch.full((1, 1), position, device=self.prefix.device)
        hidden = self.model(self.model.embed(token), positions=positions, cache=cache)
        return self.model.logits(hidden).argmax(-1)


class _Growing:
    """A preallocated cache that is filled from the left."""

    def __init__(self, config: LLaDAConfig, batch: int, slots: int, like: Tensor) -> None:
        shape = (config.n_layers, batch, config.kv_heads, slots, config.head_dim)
        self.k, self.v = like.new_zeros(shape), like.new_zeros(shape)
        self.length = 0

    def update(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        end = self.length + k.shape[2]
        self.k[layer, :, :, self.length : end] = k
        self.v[layer, :, :, self.length : end] = v
        return self.k[layer, :, :, :end], self.v[layer, :, :, :end]
