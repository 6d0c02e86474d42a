"""The rows of a pass: which request each computes, and where it lives in the cache."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from engines.backends import Proposal, Query

WHERE = 4
"""Numbers that say where a lane is: row, start, block length, length."""


@dataclass(slots=True)
class State:
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
class Lane:
    """One row of the batch: a query, or its twin with a masked prompt."""

    query: Query
    twin: int

    @property
    def state(self) -> State:
        """Where its request lives."""
        state: State = self.query.state
        return state

    @property
    def row(self) -> int:
        """Its row in the cache."""
        return self.state.rows[self.twin]


def is_special(query: Query) -> bool:
    """Whether more is asked for than the best token of each position."""
    return bool(query.temperature or query.state.guidance or query.targets is not None)


def best_of(best: Tensor, queries: Sequence[Query]) -> list[Proposal]:
    """Proposals out of tokens and log-probabilities [2, B, L]."""
    tokens, log_p = best.cpu().numpy()
    places = [query.active - query.begin for query in queries]
    return [
        Proposal(tokens[row, place].astype(np.int64), log_p[row, place])
        for row, place in enumerate(places)
    ]


def where(lane: Lane) -> list[int]:
    """What the device has to know of a lane: row, start, block length and length."""
    return [lane.row, lane.state.start, lane.state.block_length, lane.state.length]


def first_row(lanes: list[Lane]) -> int | None:
    """The first of the rows, where they follow each other."""
    rows = [lane.row for lane in lanes]
    return rows[0] if rows == [*range(rows[0], rows[0] + len(rows))] else None
