"""The language model on torch, CPU or CUDA."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engines.backends import Context, Proposal, Query, RequestError, gumbel
from engines.backends.cache import SLOTS, KeyValues, PassView
from engines.backends.graphs import Capture, Graphs
from engines.llada import LLaDA, propose_tokens
from engines.memory import NotEnoughMemoryError
from engines.schedule import Schedule

LONGEST_GRAPH = 256
"""Positions of a pass up to which it is recorded; the launches of a longer one hardly count."""


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


@dataclass(frozen=True, slots=True)
class _Lane:
    """One row of the batch: a query, or its twin with a masked prompt."""

    query: Query
    twin: int

    @property
    def state(self) -> _State:
        return self.query.state

    @property
    def row(self) -> int:
        return self.state.rows[self.twin]


class TorchBackend:
    """Runs `LLaDA`; proposals are made on the device, for active positions alone."""

    def __init__(
        self,
        model: LLaDA,
        *,
        block_causal: bool = False,
        forbidden: Sequence[int] = (),
        room: tuple[int, int] = (0, 0),
        capture: Capture | None = None,
    ) -> None:
        """Take a model that is in place and in eval mode; never propose a `forbidden` token.

        There is `room` for so many requests of so many positions from the start. With a `capture`
        the passes over blocks are recorded once and replayed.
        """
        self.model, self.block_causal = model, block_causal
        self.mask_id = model.config.mask_token_id
        weight = model.model.transformer.wte.weight
        self.device, self.dtype = weight.device, weight.dtype
        self.forbidden = torch.tensor(list(forbidden), dtype=torch.int64, device=self.device)
        rows, positions = room
        self.cache = KeyValues(
            model.config, dtype=self.dtype, device=self.device, rows=rows, positions=positions
        )
        self._graphs = Graphs(self._compute, capture) if capture else None
        self._moves = self.cache.moves

    @torch.inference_mode()
    def admit(self, context: Context, schedule: Schedule) -> _State:
        """Make room; raise `RequestError` for a request longer than the model's context."""
        length = len(context) + schedule.blocks * schedule.block_length
        most = self.model.config.max_sequence_length
        if length > most:
            raise RequestError(
                f"{length} positions asked for, the model has {most}; "
                "shorten the prompt, or ask for fewer tokens"
            )
        prompts = [list(context.prompt)]
        if schedule.cfg_scale:
            prompts.append([self.mask_id] * len(context.prompt))
        rows: list[int] = []
        try:
            for _ in prompts:
                rows.append(self.cache.take(length))  # noqa: PERF401 - those taken are given back
        except NotEnoughMemoryError:
            self.cache.give(rows)
            raise
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
        rows = [self.cache.take(state.length) for _ in state.rows]
        self.cache.copy(state.rows, rows, state.length)
        return _State(rows, state.context, state.block_length, state.length, state.guidance)

    def release(self, state: _State) -> None:
        """Give the rows back."""
        self.cache.give(state.rows)
        state.rows = []

    @torch.inference_mode()
    def propose(self, queries: Sequence[Query]) -> list[Proposal]:
        """Run one pass; guided queries take a second row of the same batch."""
        lanes = [
            _Lane(query, row) for row in (0, 1) for query in queries if row < len(query.state.rows)
        ]
        try:
            hidden = self._forward(lanes)
        except torch.OutOfMemoryError as error:
            raise NotEnoughMemoryError(
                f"a pass for {len(lanes)} requests found no memory on {self.device.type}; "
                "ask for less at a time, or quantise"
            ) from error
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
        slots = np.full((len(lanes), max(counts)), self.cache.trash)
        ids = np.zeros_like(slots)
        for row, (lane, begin, n) in enumerate(zip(lanes, begins, counts, strict=True)):
            slots[row, :n] = np.arange(begin, begin + n)
            response = lane.query.response[max(lane.query.begin, 0) : lane.query.end]
            ids[row, n - len(response) : n] = response
        embeddings = self.model.embed(self._there(ids))
        for row, (lane, begin) in enumerate(zip(lanes, begins, strict=True)):
            if lane.query.begin < 0:
                part = lane.state.context[lane.twin, begin:]
                embeddings[row, : len(part)] = part
        return self._run(lanes, embeddings, self._there(slots))

    def _run(self, lanes: list[_Lane], embeddings: Tensor, slots: Tensor) -> Tensor:
        """Compute, through a recording where there can be one."""
        rows = [lane.row for lane in lanes]
        states = [lane.state for lane in lanes]
        limits = [[state.start, state.block_length, state.length] for state in states]
        inputs = (embeddings, slots, self._there(np.array(rows)), self._there(np.array(limits)))
        first = rows[0] if rows == [*range(rows[0], rows[0] + len(rows))] else None
        length = max(state.length for state in states)
        if self._graphs is None or slots.shape[1] > LONGEST_GRAPH:
            alike = not self.block_causal and min(state.length for state in states) == length
            return self._compute(*inputs, first=first, length=length, masked=not alike)
        if self._moves != self.cache.moves:
            self._graphs.forget()
            self._moves = self.cache.moves
        # few lengths make few recordings; the mask hides what is too much
        return self._graphs(*inputs, first=first, length=-(-length // SLOTS) * SLOTS)

    def _compute(
        self,
        embeddings: Tensor,
        slots: Tensor,
        rows: Tensor,
        limits: Tensor,
        *,
        first: int | None,
        length: int,
        masked: bool = True,
    ) -> Tensor:
        """Run the model on embeddings [B, L, d] at `slots` [B, L] of `rows` [B]: hidden [B, L, d].

        `limits` [B, 3] are start, block length and length of each lane; unless `masked`, all are
        attended to. Nothing here waits for the device.
        """
        positions = slots.masked_fill(slots == self.cache.trash, 0)
        mask = self._mask(positions, limits, length) if masked else None
        view = PassView(self.cache, rows, slots, first, length)
        return self.model(embeddings, positions=positions, mask=mask, cache=view)

    def _mask(self, positions: Tensor, limits: Tensor, length: int) -> Tensor:
        """Return what each position may attend to: [B, 1, 1 or L, S]."""
        keys = torch.arange(length, device=self.device)[None]  # [1, S]
        start, block_length, end = limits.T[..., None]  # [B, 1] each
        if not self.block_causal:
            return (keys < end)[:, None, None]
        seen = (keys - start).div(block_length, rounding_mode="floor").clamp(min=-1)
        here = (positions - start).div(block_length, rounding_mode="floor").clamp(min=-1)
        return (seen[:, None, :] <= here[:, :, None])[:, None]

    def _there(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def _logits(self, hidden: Tensor, lanes: list[_Lane]) -> list[Tensor]:
        """Score the active positions of each lane: float32 [active, V]."""
        counts = [len(lane.query.active) for lane in lanes]
        rows = np.repeat(np.arange(len(lanes)), counts)
        columns = np.concatenate([lane.query.active - lane.query.begin for lane in lanes])
        wanted = hidden[torch.from_numpy(rows), torch.from_numpy(columns)]
        return list(self.model.logits(wanted).float().split(counts))
