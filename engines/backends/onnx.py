"""The language model on onnxruntime: no torch, two cores, small models."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from engines.backends import Context, Ids, Proposal, Query, RequestError, gumbel
from engines.checkpoints import CheckpointError
from engines.schedule import Floats, Schedule

UNSEEN = np.iinfo(np.int64).max
"""Block number of padding: above every other, so nothing attends to it."""


@dataclass(slots=True)
class _State:
    """A request's context, and the keys and values computed so far."""

    ids: Ids
    """The context as the graph wants it: tokens, and -1 - p for prefix position p."""
    prefix: Floats
    """Audio embeddings [P, d]; one row of zeros where there are none."""
    block_length: int
    k: Floats
    """[layers, H, slots, D]."""
    v: Floats


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
        if schedule.cfg_scale:
            raise RequestError("classifier-free guidance needs the torch backend")
        prefix = np.zeros((1, self._size), dtype=np.float32)
        ids = np.array(context.prompt, dtype=np.int64)
        if context.prefix is not None:
            prefix = np.asarray(context.prefix, dtype=np.float32)
            ids = np.insert(ids, context.prefix_at, -1 - np.arange(len(prefix)))
        shape = (self._layers, self._heads, length, self._head_dim)
        k, v = (np.zeros(shape, dtype=np.float32) for _ in range(2))
        return _State(ids, prefix, schedule.block_length, k, v)

    def fork(self, state: _State) -> _State:
        """Copy a state."""
        return _State(state.ids, state.prefix, state.block_length, state.k.copy(), state.v.copy())

    def release(self, state: _State) -> None:
        """Do nothing: a state is freed with its last reference."""

    def propose(self, queries: Sequence[Query]) -> list[Proposal]:
        """Run one pass over all queries, padded to the longest."""
        past = [self._past(query) for query in queries]
        feeds = self._new(queries) | self._kept(queries, past)
        tokens, log_probability, k, v = self._session.run(None, feeds)
        proposals = []
        for row, query in enumerate(queries):
            count, start = query.end - query.begin, len(query.state.ids)
            here = slice(start + query.begin, start + query.end)
            query.state.k[:, :, here] = k[:, row, :, :count]
            query.state.v[:, :, here] = v[:, row, :, :count]
            wanted = slice(len(query.active))
            proposals.append(Proposal(tokens[row, wanted], log_probability[row, wanted]))
        return proposals

    def _blocks(self, state: _State, slots: Ids) -> Ids:
        """Return the block number of each slot, -1 for the context; all alike if it matters not."""
        if not self.block_causal:
            return np.zeros_like(slots)
        return np.maximum((slots - len(state.ids)) // state.block_length, -1)

    def _past(self, query: Query) -> Ids:
        """Slots computed earlier that this pass may attend to."""
        start = len(query.state.ids)
        before = np.arange(start + query.begin)
        if self.block_causal:
            return before
        return np.concatenate([before, np.arange(start + query.end, query.state.k.shape[2])])

    def _new(self, queries: Sequence[Query]) -> dict[str, np.ndarray]:
        """Feed what is computed in this pass."""
        batch = len(queries)
        longest = max(query.end - query.begin for query in queries)
        most = max(1, *(len(query.active) for query in queries))
        audio = max(len(query.state.prefix) for query in queries)
        feeds = {
            "ids": np.zeros((batch, longest), dtype=np.int64),
            "positions": np.zeros((batch, longest), dtype=np.int64),
            "blocks": np.full((batch, longest), UNSEEN),
            "prefix": np.zeros((batch, audio, self._size), dtype=np.float32),
            "active": np.zeros((batch, most), dtype=np.int64),
            "targets": np.full((batch, most), -1),
            "noise": np.zeros((batch, most, self._vocabulary), dtype=np.float32),
        }
        for row, query in enumerate(queries):
            state, count, wanted = query.state, query.end - query.begin, len(query.active)
            slots = np.arange(count) + len(state.ids) + query.begin
            whole = np.concatenate([state.ids, query.response])
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

    def _kept(self, queries: Sequence[Query], past: list[Ids]) -> dict[str, np.ndarray]:
        """Feed keys and values of earlier passes."""
        batch, longest = len(queries), max(len(slots) for slots in past)
        shape = (self._layers, batch, self._heads, longest, self._head_dim)
        k, v = (np.zeros(shape, dtype=np.float32) for _ in range(2))
        blocks = np.full((batch, longest), UNSEEN)
        for row, (query, slots) in enumerate(zip(queries, past, strict=True)):
            k[:, row, :, : len(slots)] = query.state.k[:, :, slots]
            v[:, row, :, : len(slots)] = query.state.v[:, :, slots]
            blocks[row, : len(slots)] = self._blocks(query.state, slots)
        return {"past_k": k, "past_v": v, "past_blocks": blocks}
