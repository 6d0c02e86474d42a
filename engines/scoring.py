"""How probable a given text is, without generating one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from engines.backends import Backend, Context, Query
from engines.schedule import Floats, Schedule


def score(
    backend: Backend,
    context: Context,
    candidates: Sequence[Sequence[int]],
    schedule: Schedule,
    *,
    end_id: int,
    stripes: int = 2,
) -> list[Floats]:
    """Return the log-probability of every token of each candidate, its `end_id` included.

    Each token is weighed once, seeing the candidate's other tokens except every `stripes`th:
    a pseudo-likelihood (Salazar et al. 2020), all in one pass. A block-causal model's
    context is computed once, in a pass of its own; any other model sees a response as a whole, so
    each candidate has room for itself and no more.
    """
    if not candidates:
        return []
    length = schedule.block_length

    def admit(tokens: int) -> Any:
        states.append(backend.admit(context, replace(schedule, max_new_tokens=tokens)))
        return states[-1]

    states: list[Any] = []
    queries = []
    begin = -len(context)
    try:
        if backend.block_causal:
            base = admit(max(len(candidate) + 1 for candidate in candidates))
            nothing = np.empty(0, dtype=np.int64)
            backend.propose([Query(base, nothing, begin, 0, nothing)])
            begin = 0
        for candidate in candidates:
            blocks = len(candidate) // length + 1
            whole = np.full(blocks * length, end_id)
            whole[: len(candidate)] = candidate
            for stripe in range(stripes):
                if backend.block_causal:
                    states.append(backend.fork(base))
                else:
                    admit(len(candidate) + 1)
                active = np.arange(stripe, len(candidate) + 1, stripes)
                masked = whole.copy()
                masked[active] = backend.mask_id
                queries.append(Query(states[-1], masked, begin, len(whole), active, whole[active]))
        proposals = backend.propose(queries)
    finally:
        for state in states:
            backend.release(state)
    scores = [np.empty(len(candidate) + 1, dtype=np.float32) for candidate in candidates]
    for index, proposal in enumerate(proposals):
        scores[index // stripes][index % stripes :: stripes] = proposal.log_probability
    return scores
