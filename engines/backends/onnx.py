"""The language model on onnxruntime: no torch, two cores, small models."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from engines.backends import (
    NOT_FINITE,
    Context,
    Ids,
    Proposal,
    Query,
    RequestError,
    gumbel,
    rounded_up,
)
from engines.checkpoints import CheckpointError
from engines.schedule import Floats, Schedule

UNSEEN = np.iinfo(np.int64).max
"""Block number of padding: above every other, so nothing attends to it."""
_PAST, _ACTIVE = 16, 8
"""Room is made in steps of so many slots and so many active positions.

Sums over fewer, or over as many that begin elsewhere, are added up in another order, and an answer
would hang by its last bit on what is answered beside it.
"""


@dataclass(slots=True)
class _Seen:
    """A context, and the keys and values computed so far."""

    ids: Ids
    """The context as the graph wants it: tokens, and -1 - p for prefix position p."""
    k: Floats
    """[layers, H, slots, D]."""
    v: Floats


@dataclass(slots=True)
class _State:
    """A request: what it sees, and under guidance what it sees of a masked prompt."""

    seen: list[_Seen]
    prefix: Floats
    """Audio embeddings [P, d]; one row of zeros where there are none."""
    block_length: int
    guidance: float

    @property
    def start(self) -> int:
        """Slot of the response's first position."""
        return len(self.seen[0].ids)

    @property
    def slots(self) -> int:
        """Positions of context and response."""
        return int(self.seen[0].k.shape[2])


@dataclass(frozen=True, slots=True)
class _Lane:
    """One row of the batch: a query, or its twin with a masked prompt."""

    query: Query
    seen: _Seen

    @property
    def state(self) -> _State:
        state: _State = self.query.state
        return state


def session(path: Path, threads: int, *, cuda: bool = False) -> onnxruntime.InferenceSession:
    """Open a graph, on the CPU with so many threads or on CUDA, which may not be there after all.

    Raises `CheckpointError` for a damaged file.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # spinning threads would take the core from the microphone and from the other graph
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = [*(["CUDAExecutionProvider"] if cuda else []), "CPUExecutionProvider"]
    try:
        return onnxruntime.InferenceSession(path, options, providers=providers)
    except Exception as error:  # onnxruntime's exceptions share no narrower base
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path}: {reason}; copy or convert the model again") from error


class OnnxBackend:
    """Runs `lm.onnx`; its inputs are described in `engines.export`."""

    def __init__(
        self,
        path: Path,
        *,
        mask_id: int,
        block_causal: bool,
        max_sequence_length: int,
        threads: int = 2,
    ) -> None:
        """Open the graph; raise `CheckpointError` if it is damaged."""
        self.mask_id, self.block_causal = mask_id, block_causal
        self._longest = max_sequence_length
        self._session = session(path, threads)
        shapes = {each.name: each.shape for each in self._session.get_inputs()}
        self._guides = "guidance" in shapes
        try:
            self._layers, _, self._heads, _, self._head_dim = shapes["past_k"]
            self._size, self._vocabulary = shapes["prefix"][-1], shapes["noise"][-1]
        except (KeyError, ValueError) as error:
            raise CheckpointError(f"{path}: not a language model of ours; convert again") from error

    def admit(self, context: Context, schedule: Schedule) -> _State:
        """Make room; raise `RequestError` for what this backend or the model cannot do."""
        length = len(context) + schedule.blocks * schedule.block_length
        if length > self._longest:
            raise RequestError(
                f"{length} positions asked for, the model has {self._longest}; "
                "shorten the prompt, or ask for fewer tokens"
            )
        if schedule.cfg_scale and not self._guides:
            raise RequestError(
                "this model's lm.onnx knows no classifier-free guidance; export it again"
            )
        prompts = [np.array(context.prompt, dtype=np.int64)]
        if schedule.cfg_scale:
            prompts.append(np.full_like(prompts[0], self.mask_id))
        prefix = np.zeros((1, self._size), dtype=np.float32)
        if context.prefix is not None:
            prefix = np.asarray(context.prefix, dtype=np.float32)
            if not np.isfinite(prefix).all():
                raise RequestError(NOT_FINITE)
            audio = -1 - np.arange(len(prefix))
            prompts = [np.insert(ids, context.prefix_at, audio) for ids in prompts]
        shape = (self._layers, self._heads, length, self._head_dim)
        seen = [_Seen(ids, *(np.zeros(shape, np.float32) for _ in range(2))) for ids in prompts]
        return _State(seen, prefix, schedule.block_length, schedule.cfg_scale)

    def fork(self, state: _State) -> _State:
        """Copy a state."""
        seen = [_Seen(each.ids, each.k.copy(), each.v.copy()) for each in state.seen]
        return _State(seen, state.prefix, state.block_length, state.guidance)

    def release(self, state: _State) -> None:
        """Do nothing: a state is freed with its last reference."""

    def propose(self, queries: Sequence[Query]) -> list[Proposal]:
        """Run one pass over all queries, padded to the longest; guided ones take a second row."""
        lanes = [_Lane(query, query.state.seen[0]) for query in queries]
        guided = [row for row, query in enumerate(queries) if query.state.guidance]
        lanes += [_Lane(queries[row], queries[row].state.seen[1]) for row in guided]
        feeds = self._new(lanes) | self._kept(lanes)
        if self._guides:
            twins, guidance = np.arange(len(lanes)), np.zeros(len(lanes), dtype=np.float32)
            twins[guided] = np.arange(len(queries), len(lanes))
            guidance[guided] = [queries[row].state.guidance for row in guided]
            feeds |= {"twins": twins, "guidance": guidance}
        tokens, log_probability, k, v = self._session.run(None, feeds)
        for row, lane in enumerate(lanes):
            begin, end = lane.query.begin, lane.query.end
            here = slice(lane.state.start + begin, lane.state.start + end)
            lane.seen.k[:, :, here] = k[:, row, :, : end - begin]
            lane.seen.v[:, :, here] = v[:, row, :, : end - begin]
        counts = [len(query.active) for query in queries]
        return [Proposal(tokens[row, :n], log_probability[row, :n]) for row, n in enumerate(counts)]

    def _blocks(self, state: _State, slots: Ids) -> Ids:
        """Return the block number of each slot, -1 for the context; all alike if it matters not."""
        if not self.block_causal:
            return np.zeros_like(slots)
        return np.maximum((slots - state.start) // state.block_length, -1)

    def _past(self, lane: _Lane) -> Ids:
        """Slots computed earlier that this pass may attend to."""
        start = lane.state.start
        before = np.arange(start + lane.query.begin)
        if self.block_causal:
            return before
        return np.concatenate([before, np.arange(start + lane.query.end, lane.state.slots)])

    def _new(self, lanes: Sequence[_Lane]) -> dict[str, np.ndarray]:
        """Feed what is computed in this pass."""
        batch = len(lanes)
        longest = max(lane.query.end - lane.query.begin for lane in lanes)
        most = rounded_up(max(1, *(len(lane.query.active) for lane in lanes)), _ACTIVE)
        audio = max(len(lane.state.prefix) for lane in lanes)
        feeds = {
            "ids": np.zeros((batch, longest), dtype=np.int64),
            "positions": np.zeros((batch, longest), dtype=np.int64),
            "blocks": np.full((batch, longest), UNSEEN),
            "prefix": np.zeros((batch, audio, self._size), dtype=np.float32),
            "active": np.zeros((batch, most), dtype=np.int64),
            "targets": np.full((batch, most), -1),
            "noise": np.zeros((batch, most, self._vocabulary), dtype=np.float32),
        }
        for row, lane in enumerate(lanes):
            state, query = lane.state, lane.query
            count, wanted = query.end - query.begin, len(query.active)
            slots = np.arange(count) + state.start + query.begin
            whole = np.concatenate([lane.seen.ids, query.response])
            feeds["ids"][row, :count] = whole[slots]
            feeds["positions"][row, :count] = slots
            feeds["blocks"][row, :count] = self._blocks(state, slots)
            feeds["prefix"][row, : len(state.prefix)] = state.prefix
            feeds["active"][row, :wanted] = query.active - query.begin
            if query.targets is not None:
                feeds["targets"][row, :wanted] = query.targets
            if query.temperature:
                feeds["noise"][row, :wanted] = gumbel(query, self._vocabulary)
        return feeds

    def _kept(self, lanes: Sequence[_Lane]) -> dict[str, np.ndarray]:
        """Feed keys and values of earlier passes."""
        past = [self._past(lane) for lane in lanes]
        longest = rounded_up(max(map(len, past)), _PAST)
        shape = (self._layers, len(lanes), self._heads, longest, self._head_dim)
        k, v = (np.zeros(shape, dtype=np.float32) for _ in range(2))
        blocks = np.full((len(lanes), longest), UNSEEN)
        for row, (lane, slots) in enumerate(zip(lanes, past, strict=True)):
            k[:, row, :, : len(slots)] = lane.seen.k[:, :, slots]
            v[:, row, :, : len(slots)] = lane.seen.v[:, :, slots]
            blocks[row, : len(slots)] = self._blocks(lane.state, slots)
        return {"past_k": k, "past_v": v, "past_blocks": blocks}
