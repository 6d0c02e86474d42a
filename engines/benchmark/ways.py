"""The ways to decode that are timed against each other: each yields after every pass."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from engines.backends import Context
from engines.backends.cache import KeyValues, PassView
from engines.backends.graphs import Capture, Graphs, cuda_capture
from engines.backends.torch import TorchBackend
from engines.decoding import Decoder, Request
from engines.llada import LLaDA
from engines.schedule import CacheKind, Exactly, Schedule

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
        capture = cuda_capture if weight.device.type == "cuda" else None
        # as `engines.opening` opens it
        self.backend = TorchBackend(model, forbidden=[model.config.mask_token_id], capture=capture)
        self.prefix = torch.randn(PREFIX, model.config.d_model).to(weight) * weight.std()
        self.left_to_right = LeftToRight(model, batch, PREFIX + new_tokens, capture)

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
        reader = self.left_to_right
        token = reader.read(self.prefix)
        yield
        for position in range(PREFIX, PREFIX + self.new - 1):
            token = reader.next(token, position)
            yield


class LeftToRight:
    """A causal model's decoder: a cache, a token of each response a pass, recorded like ours."""

    def __init__(
        self, model: LLaDA, batch: int, positions: int, capture: Capture | None = None
    ) -> None:
        weight = model.model.transformer.wte.weight
        self.model = model
        self.cache = KeyValues(
            model.config, dtype=weight.dtype, device=weight.device, rows=batch, positions=positions
        )
        self.rows = torch.arange(batch, device=weight.device)
        self._graphs = Graphs(self._compute, capture, weight.device) if capture else None

    @torch.inference_mode()
    def read(self, prefix: Tensor) -> Tensor:
        """Fill the cache with `prefix` [P, d], the same for all: the first tokens [B, 1]."""
        slots = torch.arange(len(prefix), device=prefix.device).expand(len(self.rows), -1)
        embeddings = prefix.expand(len(self.rows), -1, -1)
        hidden = self._forward(embeddings, slots, len(prefix))
        return self.model.logits(hidden[:, -1:]).argmax(-1)

    @torch.inference_mode()
    def next(self, tokens: Tensor, position: int) -> Tensor:
        """The tokens [B, 1] that follow `tokens`, which are at `position`."""
        slots = torch.full_like(tokens, position)
        if self._graphs is None:
            return self._compute(tokens, slots, length=position + 1)
        # what other ways replay in between would overwrite it
        return self._graphs(tokens, slots, length=self.cache.k.shape[2]).clone()

    def _compute(self, tokens: Tensor, slots: Tensor, *, length: int) -> Tensor:
        hidden = self._forward(self.model.embed(tokens), slots, length)
        return self.model.logits(hidden).argmax(-1)

    def _forward(self, embeddings: Tensor, slots: Tensor, length: int) -> Tensor:
        """Run the model at `slots` [B, L], each of which sees the first `length` up to itself."""
        unseen = torch.arange(length, device=slots.device) > slots[..., None]  # [B, L, S]
        mask = torch.zeros_like(unseen, dtype=embeddings.dtype).masked_fill(unseen, -torch.inf)
        view = PassView(self.cache, self.rows, slots, 0, length)
        hidden: Tensor = self.model(embeddings, mask=mask[:, None], positions=slots, cache=view)
        return hidden
