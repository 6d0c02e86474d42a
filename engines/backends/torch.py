"""The language model on torch, CPU or CUDA, over one preallocated key/value cache."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engines.backends import Context, Proposal, Query, gumbel
from engines.checkpoints import Checkpoint, CheckpointError
from engines.llada import LLaDA, propose_tokens
from engines.schedule import Schedule

SLOTS = 256
"""Cache positions are added by so many at a time."""


@dataclass(slots=True)
class _State:
    """Where a request lives in the cache."""

    rows: list[int]
    """Its row, and that of its masked prompt under guidance."""
    context: Tensor
    """Embeddings of prompt and prefix, one per row: [rows, C, d]."""
    block_length: int
    length: int
    """Positions of context and response."""
    guidance: float

    @property
    def start(self) -> int:
        """Slot of the response's first position."""
        return self.context.shape[1]


class _Pass:
    """One pass's view of the cache: writes what was computed, returns all there is to attend to."""

    def __init__(self, k: Tensor, v: Tensor, rows: Tensor, slots: Tensor, length: int) -> None:
        self.k, self.v, self.rows, self.slots, self.length = k, v, rows, slots, length
        first = int(rows[0])
        compact = rows.tolist() == list(range(first, first + len(rows)))
        self.select = slice(first, first + len(rows)) if compact else rows

    def update(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store [B, H, L, D]; return [B, H, S, D]."""
        result = []
        for cache, new in ((self.k[layer], k), (self.v[layer], v)):
            cache[self.rows[:, None], self.slots] = new.transpose(1, 2).to(cache.dtype)
            result.append(cache[self.select, : self.length].transpose(1, 2))
        return result[0], result[1]


@dataclass(frozen=True, slots=True)
class _Lane:
    """One row of the batch: a query, or its twin with a masked prompt."""

    query: Query
    twin: int

    @property
    def state(self) -> _State:
        return self.query.state


class TorchBackend:
    """Runs `LLaDA`; proposals are made on the device, for active positions alone."""

    def __init__(
        self, model: LLaDA, *, block_causal: bool = False, forbidden: Sequence[int] = ()
    ) -> None:
        """Take a model that is in place and in eval mode; never propose a `forbidden` token."""
        self.model, self.block_causal = model, block_causal
        self.mask_id = model.config.mask_token_id
        weight = model.model.transformer.wte.weight
        self.device, self.dtype = weight.device, weight.dtype
        self.forbidden = torch.tensor(list(forbidden), dtype=torch.int64, device=self.device)
        self._free: list[int] = []
        shape = (model.config.n_layers, 0, 0, model.config.kv_heads, model.config.head_dim)
        self._k = torch.zeros(shape, dtype=self.dtype, device=self.device)
        self._v = torch.zeros_like(self._k)

    @torch.inference_mode()
    def admit(self, context: Context, schedule: Schedule) -> _State:
        """Make room; raise `ValueError` for a request longer than the model's context."""
        length = len(context) + schedule.blocks * schedule.block_length
        most = self.model.config.max_sequence_length
        if length > most:
            raise ValueError(
                f"{length} positions asked for, the model has {most}; shorten the prompt"
            )
        prompts = [list(context.prompt)]
        if schedule.cfg_scale:
            prompts.append([self.mask_id] * len(context.prompt))
        rows = [self._room(length) for _ in prompts]
        ids = torch.tensor(prompts, dtype=torch.int64, device=self.device)
        embeddings = self.model.embed(ids)  # [rows, prompt, d]
        if context.prefix is not None:
            prefix = torch.as_tensor(context.prefix).to(embeddings)
            at = context.prefix_at
            parts = (embeddings[:, :at], prefix.expand(len(rows), -1, -1), embeddings[:, at:])
            embeddings = torch.cat(parts, dim=1)
        return _State(rows, embeddings, schedule.block_length, length, schedule.cfg_scale)

    @torch.inference_mode()
    def fork(self, state: _State) -> _State:
        """Copy a state and its part of the cache."""
        rows = [self._room(state.length) for _ in state.rows]
        for cache in (self._k, self._v):
            cache[:, rows, : state.length] = cache[:, state.rows, : state.length]
        return _State(rows, state.context, state.block_length, state.length, state.guidance)

    def release(self, state: _State) -> None:
        """Give the rows back, lowest first to be taken again: a compact batch is a view."""
        self._free = sorted([*self._free, *state.rows], reverse=True)
        state.rows = []

    def _room(self, length: int) -> int:
        layers, rows, slots, heads, head_dim = self._k.shape
        # one slot more than needed takes what padded positions write
        more_slots = max(0, -(-(length + 1 - slots) // SLOTS) * SLOTS)
        more_rows = 0 if self._free else max(1, rows)
        if more_slots or more_rows:
            shape = (layers, rows + more_rows, slots + more_slots, heads, head_dim)
            for name in ("_k", "_v"):
                grown = torch.zeros(shape, dtype=self.dtype, device=self.device)
                grown[:, :rows, :slots] = getattr(self, name)
                setattr(self, name, grown)
            self._free = sorted([*self._free, *range(rows, rows + more_rows)], reverse=True)
        return self._free.pop()

    @torch.inference_mode()
    def propose(self, queries: Sequence[Query]) -> list[Proposal]:
        """Run one pass; guided queries take a second row of the same batch."""
        lanes = [
            _Lane(query, row) for row in (0, 1) for query in queries if row < len(query.state.rows)
        ]
        hidden = self._forward(lanes)
        counts = [len(query.active) for query in queries]
        if not sum(counts):
            return [Proposal(query.active, np.empty(0, np.float32)) for query in queries]
        scores = self._logits(hidden, lanes)
        masked = iter(scores[len(queries) :])
        for index, query in enumerate(queries):
            if query.state.guidance:
                against = next(masked)
                scores[index] = against + (1 + query.state.guidance) * (scores[index] - against)
        logits = torch.cat(scores[: len(queries)])
        logits[:, self.forbidden] = -torch.inf
        targets = [
            np.full(n, -1) if q.targets is None else q.targets
            for q, n in zip(queries, counts, strict=True)
        ]
        tokens, log_p = propose_tokens(
            logits,
            torch.from_numpy(np.concatenate(targets)).to(self.device),
            self._noise(queries, logits),
        )
        cuts = np.cumsum(counts)[:-1]
        parts = zip(
            np.split(tokens.cpu().numpy(), cuts), np.split(log_p.cpu().numpy(), cuts), strict=True
        )
        return [Proposal(*part) for part in parts]

    def _noise(self, queries: Sequence[Query], logits: Tensor) -> Tensor | None:
        """Gumbel noise scaled by temperature, drawn from each query's own seed."""
        if not any(query.temperature for query in queries):
            return None
        drawn = [gumbel(query, logits.shape[-1]) for query in queries]
        return torch.from_numpy(np.concatenate(drawn)).to(self.device)

    def _forward(self, lanes: list[_Lane]) -> Tensor:
        """Compute all lanes' spans, padded to the longest: hidden [B, L, d]."""
        begins = [lane.state.start + lane.query.begin for lane in lanes]  # slots
        counts = [lane.query.end - lane.query.begin for lane in lanes]
        longest, length = max(counts), max(lane.state.length for lane in lanes)
        trash = self._k.shape[2] - 1
        slots = np.full((len(lanes), longest), trash)
        ids = np.zeros((len(lanes), longest), dtype=np.int64)
        for row, (lane, begin, n) in enumerate(zip(lanes, begins, counts, strict=True)):
            slots[row, :n] = np.arange(begin, begin + n)
            response = lane.query.response[max(lane.query.begin, 0) : lane.query.end]
            ids[row, n - len(response) : n] = response
        embeddings = self.model.embed(torch.from_numpy(ids).to(self.device))
        for row, (lane, begin) in enumerate(zip(lanes, begins, strict=True)):
            if lane.query.begin < 0:
                part = lane.state.context[lane.twin, begin:]
                embeddings[row, : len(part)] = part
        at = torch.from_numpy(slots).to(self.device)
        rows = torch.tensor([lane.state.rows[lane.twin] for lane in lanes], device=self.device)
        view = _Pass(self._k, self._v, rows, at, length)
        positions = at.masked_fill(at == trash, 0)
        mask = self._mask(lanes, positions, length)
        return self.model(embeddings, positions=positions, mask=mask, cache=view)

    def _mask(self, lanes: list[_Lane], positions: Tensor, length: int) -> Tensor | None:
        """Return what each position may attend to [B, 1, L, S], or None for everything."""
        keys = torch.arange(length, device=self.device)[None]  # [1, S]
        if not self.block_causal:
            lengths = [lane.state.length for lane in lanes]
            if min(lengths) == length:
                return None
            return (keys < torch.tensor(lengths, device=self.device)[:, None])[:, None, None]
        starts = torch.tensor([lane.state.start for lane in lanes], device=self.device)[:, None]
        blocks = torch.tensor([lane.state.block_length for lane in lanes], device=self.device)
        seen = ((keys - starts).div(blocks[:, None], rounding_mode="floor")).clamp(min=-1)
        here = ((positions - starts).div(blocks[:, None], rounding_mode="floor")).clamp(min=-1)
        return (seen[:, None, :] <= here[:, :, None])[:, None]

    def _logits(self, hidden: Tensor, lanes: list[_Lane]) -> list[Tensor]:
        """Score the active positions of each lane: float32 [active, V]."""
        counts = [len(lane.query.active) for lane in lanes]
        rows = np.repeat(np.arange(len(lanes)), counts)
        columns = np.concatenate([lane.query.active - lane.query.begin for lane in lanes])
        wanted = hidden[torch.from_numpy(rows), torch.from_numpy(columns)]
        return list(self.model.logits(wanted).float().split(counts))


def open_torch(checkpoint: Checkpoint, *, device: str, threads: int) -> TorchBackend:
    """Load a checkpoint's weights: bfloat16 on CUDA, float32 on the CPU.

    Raises `CheckpointError` for a device that is not there and for weights that do not fit.
    """
    from engines.published import load_llada

    if device == "cuda" and not torch.cuda.is_available():
        raise CheckpointError("device cuda was asked for, but torch finds none; use device cpu")
    if device == "cpu":
        torch.set_num_threads(threads)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    model = load_llada(checkpoint.manifest.lm, checkpoint.folder, device=device, dtype=dtype)
    return TorchBackend(
        model,
        block_causal=checkpoint.manifest.attention == "block-causal",
        forbidden=checkpoint.forbidden,
    )
