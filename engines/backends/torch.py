"""The language model on torch, CPU or CUDA."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from engines.backends import (
    NOT_FINITE,
    Context,
    Proposal,
    Query,
    RequestError,
    gumbel,
    rounded_up,
)
from engines.backends.cache import KeyValues, PassView
from engines.backends.graphs import Capture, Graphs
from engines.backends.lanes import WHERE, Lane, State, best_of, first_row, is_special, where
from engines.fused import fused_tell
from engines.llada import LLaDA, propose_tokens
from engines.memory import NotEnoughMemoryError
from engines.schedule import Schedule

LONGEST_GRAPH = 512
"""Positions of all requests of a pass up to which it is recorded; the launches of a longer one
hardly count, and its scores over the vocabulary would take much memory."""
_WIDTHS, _LENGTHS = 64, 128
"""What is computed and what is attended to in a recorded pass: whole steps of so many positions,
so that few recordings are needed. The mask hides what is too much."""


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
        self.barred = torch.zeros(model.config.embedding_size, device=self.device)
        self.barred[list(forbidden)] = -torch.inf
        rows, positions = room
        self.cache = KeyValues(
            model.config, dtype=self.dtype, device=self.device, rows=rows, positions=positions
        )
        self._graphs: Graphs | None = None  # of passes over blocks
        self._full: Graphs | None = None  # of passes that read the context
        if capture:
            self._graphs = Graphs(self._weigh, capture, self.device)
            self._full = Graphs(self._compute, capture, self.device)
            for block in model.blocks:
                block.join()
        self._moves = self.cache.moves

    @torch.inference_mode()
    def admit(self, context: Context, schedule: Schedule) -> State:
        """Make room; raise `RequestError` for what is longer than the context, or no numbers."""
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
            embeddings = self._embedded(prompts, context)
        except Exception:
            self.cache.give(rows)
            raise
        return State(rows, embeddings, schedule.block_length, length, schedule.cfg_scale)

    def _embedded(self, prompts: list[list[int]], context: Context) -> Tensor:
        """Each of `prompts` with the context's prefix in its place: [prompts, length, d]."""
        ids = torch.tensor(prompts, dtype=torch.int64, device=self.device)
        embeddings = self.model.embed(ids)
        if context.prefix is None:
            return embeddings
        prefix = torch.as_tensor(context.prefix).to(embeddings)
        if not torch.isfinite(prefix).all():  # its keys would outlive it: nothing times NaN is NaN
            raise RequestError(NOT_FINITE)
        at = context.prefix_at
        parts = (embeddings[:, :at], prefix.expand(len(prompts), -1, -1), embeddings[:, at:])
        return torch.cat(parts, dim=1)

    @torch.inference_mode()
    def fork(self, state: State) -> State:
        """Copy a state and its part of the cache."""
        rows = [self.cache.take(state.length) for _ in state.rows]
        self.cache.copy(state.rows, rows, state.length)
        return State(rows, state.context, state.block_length, state.length, state.guidance)

    def release(self, state: State) -> None:
        """Give the rows back."""
        self.cache.give(state.rows)
        state.rows = []

    @torch.inference_mode()
    def propose(self, queries: Sequence[Query]) -> list[Proposal]:
        """Run one pass; guided queries take a second row of the same batch."""
        lanes = [
            Lane(query, row) for row in (0, 1) for query in queries if row < len(query.state.rows)
        ]
        try:
            if self._recordable(lanes):
                if not any(is_special(query) for query in queries):
                    return best_of(self._replay(lanes, told=True), queries)
                scores = self._scores(self._replay(lanes, told=False), lanes)
            else:
                hidden = self._forward(lanes)
                if not any(len(query.active) for query in queries):
                    return [Proposal(query.active, np.empty(0, np.float32)) for query in queries]
                scores = self._scores(hidden, lanes, self.model.logits)
        except torch.OutOfMemoryError as error:
            raise NotEnoughMemoryError(
                f"a pass for {len(lanes)} requests found no memory on {self.device.type}; "
                "ask for less at a time, or quantise"
            ) from error
        counts = [len(query.active) for query in queries]
        masked = iter(scores[len(queries) :])
        for index, query in enumerate(queries):
            if query.state.guidance:
                against = next(masked)
                scores[index] = against + (1 + query.state.guidance) * (scores[index] - against)
        logits = torch.cat(scores[: len(queries)])
        logits += self.barred
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

    def _forward(self, lanes: list[Lane]) -> Tensor:
        """Compute all lanes' spans, padded to one length: hidden [B, L, d]."""
        begins = [lane.state.start + lane.query.begin for lane in lanes]  # slots
        counts = [lane.query.end - lane.query.begin for lane in lanes]
        width, length = max(counts), max(lane.state.length for lane in lanes)
        rounded = rounded_up(width, _WIDTHS)
        full = self._full if len(lanes) * rounded <= LONGEST_GRAPH else None
        slots = np.full((len(lanes), rounded if full else width), self.cache.trash)
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
        places = torch.from_numpy(np.array([where(lane) for lane in lanes]))
        inputs, first = (embeddings, torch.from_numpy(slots), places), first_row(lanes)
        if full:
            self._follow()
            return full(*inputs, first=first, length=rounded_up(length, _LENGTHS))
        alike = not self.block_causal and min(lane.state.length for lane in lanes) == length
        there = [each.to(self.device) for each in inputs]
        return self._compute(*there, first=first, length=length, masked=not alike)

    def _recordable(self, lanes: list[Lane]) -> bool:
        """Whether a pass can be recorded: it computes nothing of a context, and little in all."""
        width = max(lane.query.end - lane.query.begin for lane in lanes)
        begins = min(lane.query.begin for lane in lanes)
        return self._graphs is not None and begins >= 0 and len(lanes) * width <= LONGEST_GRAPH

    def _follow(self) -> None:
        """Drop what was recorded on memory that the cache has left."""
        if self._moves == self.cache.moves:
            return
        self._moves = self.cache.moves
        for graphs in (self._graphs, self._full):
            if graphs is not None:
                graphs.forget()

    def _replay(self, lanes: list[Lane], *, told: bool) -> Tensor:
        """Compute through a recording: what `_weigh` gives, and not for long."""
        assert self._graphs is not None  # noqa: S101 - narrows the type for mypy
        self._follow()
        width = max(lane.query.end - lane.query.begin for lane in lanes)
        packed = np.zeros((len(lanes), 2 * width + WHERE), np.int64)  # one copy to the device
        packed[:, width : 2 * width] = self.cache.trash
        for row, lane in zip(packed, lanes, strict=True):
            begin, end = lane.query.begin, lane.query.end
            row[: end - begin] = lane.query.response[begin:end]
            row[width : width + end - begin] = lane.state.start + np.arange(begin, end)
            row[2 * width :] = where(lane)
        length = rounded_up(max(lane.state.length for lane in lanes), _LENGTHS)
        return self._graphs(
            torch.from_numpy(packed), first=first_row(lanes), length=length, told=told
        )

    def _weigh(self, packed: Tensor, *, first: int | None, length: int, told: bool) -> Tensor:
        """Score the vocabulary at every position of `packed` (see `_replay`): float32 [B, L, V].

        If it shall be `told`, only the best token and its log-probability: [2, B, L].
        """
        width = (packed.shape[1] - WHERE) // 2
        ids, slots, where = packed.split([width, width, WHERE], dim=1)
        embeddings = self.model.embed(ids)
        hidden = self._compute(embeddings, slots, where, first=first, length=length)
        logits = self.model.logits(hidden)
        if not told:
            return logits.float()
        likeliest: Tensor = fused_tell(logits, self.barred)
        return likeliest

    def _compute(
        self,
        embeddings: Tensor,
        slots: Tensor,
        where: Tensor,
        *,
        first: int | None,
        length: int,
        masked: bool = True,
    ) -> Tensor:
        """Run the model on embeddings [B, L, d] at `slots` [B, L]: hidden [B, L, d].

        `where` [B, 4] are row, start, block length and length of each lane; unless `masked`, all
        are attended to. Nothing here waits for the device.
        """
        rows, limits = where[:, 0], where[:, 1:]
        positions = slots.masked_fill(slots == self.cache.trash, 0)
        mask = self._mask(positions, limits, length) if masked else None
        view = PassView(self.cache, rows, slots, first, length)
        return self.model(embeddings, positions=positions, mask=mask, cache=view)

    def _mask(self, positions: Tensor, limits: Tensor, length: int) -> Tensor:
        """Return what each position may attend to: [B, 1, 1 or L, S]."""
        keys = torch.arange(length, device=self.device)[None]  # [1, S]
        start, block_length, end = limits.T[..., None]  # [B, 1] each
        if not self.block_causal:
            mask = (keys < end)[:, None, None]
        else:
            seen = (keys - start).div(block_length, rounding_mode="floor").clamp(min=-1)
            here = (positions - start).div(block_length, rounding_mode="floor").clamp(min=-1)
            mask = (seen[:, None, :] <= here[:, :, None])[:, None]
        # added once here, or in every layer out of the truth values
        return torch.zeros_like(mask, dtype=self.dtype).masked_fill(~mask, -torch.inf)

    def _there(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def _scores(
        self,
        computed: Tensor,
        lanes: list[Lane],
        finish: Callable[[Tensor], Tensor] = lambda logits: logits,
    ) -> list[Tensor]:
        """Pick the active positions of each lane out of [B, L, …]: float32 [active, V]."""
        counts = [len(lane.query.active) for lane in lanes]
        rows = np.repeat(np.arange(len(lanes)), counts)
        columns = np.concatenate([lane.query.active - lane.query.begin for lane in lanes])
        wanted = computed[torch.from_numpy(rows), torch.from_numpy(columns)]
        return list(finish(wanted).float().split(counts))
