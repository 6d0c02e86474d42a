"""Block diffusion decoding: which masked positions to commit, and when.

A response starts as masks and is filled block by block, left to right. In each pass the model
proposes a token for every masked position of the block and the schedule's rule says how many to
keep, best first. The model is a `Backend`: no logits pass through here.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from engines.backends import Backend, Context, Ids, Proposal, Query, RequestError
from engines.schedule import Floats, Schedule, Steps, quota


@dataclass(frozen=True, slots=True)
class Request:
    """One response to make."""

    context: Context
    schedule: Schedule = field(default_factory=Schedule)
    template: tuple[int | None, ...] = ()
    """Tokens given in advance, None where the model decides; positions behind it are free."""


@dataclass(frozen=True, slots=True)
class BlockEvent:
    """A finished block."""

    handle: int
    """Which request, as `Decoder.add` named it."""
    block: int
    tokens: tuple[int, ...]
    confidence: tuple[float, ...]
    """Probability of each token when it was committed; 1 where it was given."""
    passes: int
    """Passes spent on the request so far."""
    last: bool
    stopped: bool
    """The response ended with a stop token, not for want of room."""


class _Response:
    """A request on its way: what is committed, and what the next pass is for."""

    def __init__(self, handle: int, request: Request, backend: Backend) -> None:
        schedule = request.schedule
        self.handle, self.schedule, self.mask_id = handle, schedule, backend.mask_id
        self.tokens = np.full(schedule.blocks * schedule.block_length, self.mask_id)
        for position, token in enumerate(request.template):
            if token is not None:
                self.tokens[position] = token
        self.log_probability = np.zeros(len(self.tokens), dtype=np.float32)
        self.context_length = len(request.context)
        self.block = self.passes = 0
        self.told, self.last = 0, -1  # blocks handed out; the last one that passes are done with
        self.passes_of = [0] * schedule.blocks
        self.masks_of = [self._masked(block).size for block in range(schedule.blocks)]
        self.computed = -self.context_length  # keys and values before it are final
        self.fresh = -1  # the block whose first pass computed all there is
        self.state = backend.admit(request.context, schedule)

    def _span(self, block: int) -> tuple[int, int]:
        return block * self.schedule.block_length, (block + 1) * self.schedule.block_length

    def _limit(self) -> int:
        """Return the position of the first stop token, or the length of the response."""
        stops = np.flatnonzero(np.isin(self.tokens, self.schedule.stop_ids))
        return int(stops[0]) if stops.size else len(self.tokens)

    def _masked(self, block: int) -> Ids:
        start, stop = self._span(block)
        stop = min(stop, self._limit())
        return start + np.flatnonzero(self.tokens[start:stop] == self.mask_id)

    def _window(self) -> list[int]:
        """Blocks to denoise in the next pass: the first unfinished one, and those it lets in."""
        window = [self.block]
        while len(window) <= self.schedule.lookahead and window[-1] + 1 < len(self.masks_of):
            ended = self._limit() < self._span(window[-1])[1]
            if ended or not self._committed(window[-1], self.schedule.lookahead_from):
                break
            window.append(window[-1] + 1)
        return window

    def _committed(self, block: int, share: float) -> bool:
        """Whether at least this share of a block is no longer masked."""
        return self._masked(block).size <= (1 - share) * self.masks_of[block]

    def query(self) -> Query:
        """Return what the next pass must compute."""
        window = self._window()
        start, stop = self._span(self.block)[0], self._span(window[-1])[1]
        match self.schedule.cache:
            case "exact":
                begin, self.computed = self.computed, start
            case "prefix" if self.fresh == self.block:
                begin, stop = start, len(self.tokens)
            case "dual" if self.fresh == self.block:
                begin = start
            case _:
                begin, stop = -self.context_length, len(self.tokens)
                self.fresh = self.block
        # a full pass also returns to masks that blocks out of patience left behind
        blocks = [*range(self.block), *window] if begin < 0 else window
        active = np.concatenate([self._masked(block) for block in blocks])
        seed = (self.schedule.seed, self.passes)
        return Query(
            self.state, self.tokens, begin, stop, active, None, self.schedule.temperature, seed
        )

    def commit(self, query: Query, proposal: Proposal) -> None:
        """Keep the proposals that the rule grants, block by block."""
        block_of = np.maximum(query.active // self.schedule.block_length, self.block)
        sureness = self._sureness(proposal)
        blocks = np.unique(block_of).tolist()
        # without these the first unfinished block might never end; fixed steps end by themselves
        active = {self.block} | {
            block for block in blocks if self._committed(block - 1, self.schedule.activation)
        }
        fixed = isinstance(self.schedule.rule, Steps)
        least = 0 if fixed else 1
        for block in blocks:
            mine = np.flatnonzero(block_of == block)
            mine = mine[np.argsort(-sureness[mine], kind="stable")]
            ranked = sureness[mine]
            granted = quota(self.schedule.rule, ranked, self.passes_of[block], self.masks_of[block])
            chosen = mine[: max(granted, least * (block in active))]
            self.tokens[query.active[chosen]] = proposal.tokens[chosen]
            self.log_probability[query.active[chosen]] = proposal.log_probability[chosen]
            # a block that is looked at in vain keeps its patience for when its turn comes
            self.passes_of[block] += fixed or block == self.block or chosen.size > 0
        self.passes += 1

    def _sureness(self, proposal: Proposal) -> Floats:
        """How sure each proposal is; with `cautious_end`, an end only as sure as all before it."""
        if not self.schedule.cautious_end:
            return proposal.log_probability
        ends = np.isin(proposal.tokens, self.schedule.stop_ids)
        least = np.minimum.accumulate(proposal.log_probability)
        return np.where(ends, least, proposal.log_probability)

    def _unfinished(self) -> bool:
        patient = self.passes_of[self.block] < self.schedule.patience
        return patient and self._masked(self.block).size > 0

    def finished(self) -> Iterator[BlockEvent]:
        """Hand out blocks that change no more, and move on."""
        while self.block < len(self.masks_of) and not self._unfinished():
            stopped = self._limit() < self._span(self.block)[1]
            self.last = self.block
            self.block = len(self.masks_of) if stopped else self.block + 1
        over = self.block == len(self.masks_of)
        # masks that are left behind may still be filled by full passes
        while self.told <= self.last and (over or not self._masked(self.told).size):
            yield self._event(self.told, last=over and self.told == self.last)
            self.told += 1

    def _event(self, block: int, *, last: bool) -> BlockEvent:
        start, stop = self._span(block)
        limit = self._limit()
        tokens = self.tokens[start : min(stop, limit)]
        sure = np.exp(self.log_probability[start : start + len(tokens)])
        return BlockEvent(
            handle=self.handle,
            block=block,
            tokens=tuple(tokens.tolist()),
            confidence=tuple(sure.tolist()),
            passes=self.passes,
            last=last,
            stopped=limit < stop,
        )


class Decoder:
    """Denoises several requests in one batch; they join and leave between passes."""

    def __init__(self, backend: Backend, *, batch: int = 8) -> None:
        """Decode at most `batch` requests at a time; further ones wait."""
        self._backend, self._batch = backend, batch
        self._waiting: deque[tuple[int, Request]] = deque()
        self._running: list[_Response] = []
        self._handles = count()

    @property
    def busy(self) -> bool:
        """Some request is not finished."""
        return bool(self._waiting or self._running)

    def add(self, request: Request) -> int:
        """Queue a request and return its handle; raise `RequestError` if it cannot be decoded."""
        _check(request, self._backend)
        handle = next(self._handles)
        self._waiting.append((handle, request))
        return handle

    def cancel(self, handle: int) -> None:
        """Forget a request, if it is still there; no further event names it."""
        self._waiting = deque(entry for entry in self._waiting if entry[0] != handle)
        for response in [response for response in self._running if response.handle == handle]:
            self._leave(response)

    def step(self) -> list[BlockEvent]:
        """Run one pass for all requests that there is room for; return the blocks it finished."""
        events = self._admit()
        if not self._running:
            return events
        queries = [response.query() for response in self._running]
        proposals = self._backend.propose(queries)
        for response, query, proposal in zip(list(self._running), queries, proposals, strict=True):
            response.commit(query, proposal)
            events += self._collect(response)
        return events

    def close(self) -> None:
        """Forget all requests."""
        self._waiting.clear()
        for response in list(self._running):
            self._leave(response)

    def _admit(self) -> list[BlockEvent]:
        events: list[BlockEvent] = []
        while self._waiting and len(self._running) < self._batch:
            entry = self._waiting.popleft()
            try:
                response = _Response(*entry, self._backend)
            except Exception:
                if not events:
                    raise
                self._waiting.appendleft(entry)  # what is finished is told first
                break
            self._running.append(response)
            events += self._collect(response)  # a template may leave nothing to decide
        return events

    def _collect(self, response: _Response) -> list[BlockEvent]:
        events = list(response.finished())
        if events and events[-1].last:
            self._leave(response)
        return events

    def _leave(self, response: _Response) -> None:
        self._running.remove(response)
        self._backend.release(response.state)


def decode(
    backend: Backend,
    requests: Sequence[Request],
    cancel: Callable[[], bool] = lambda: False,
    *,
    batch: int = 8,
) -> Iterator[BlockEvent]:
    """Stream the blocks of `requests` as they finish; a handle is an index into `requests`.

    `cancel` is asked before every pass; once it says so, or the caller stops listening, no
    further pass is spent. Raises `RequestError` for a request that the backend cannot decode.
    """
    decoder = Decoder(backend, batch=batch)
    for request in requests:
        decoder.add(request)
    try:
        while decoder.busy and not cancel():
            yield from decoder.step()
    finally:
        decoder.close()


def _check(request: Request, backend: Backend) -> None:
    """Refuse what would decode to nonsense."""
    schedule = request.schedule
    allowed = ("none", "exact") if backend.block_causal else ("none", "prefix", "dual")
    if schedule.cache not in allowed:
        raise RequestError(f"this model cannot use cache {schedule.cache!r}; use one of {allowed}")
    if schedule.max_new_tokens < 1 or schedule.block_length < 1:
        raise RequestError("max_new_tokens and block_length must be at least 1")
    if len(request.template) > schedule.blocks * schedule.block_length:
        raise RequestError(
            f"a template of {len(request.template)} tokens does not fit "
            f"{schedule.max_new_tokens} new ones"
        )
