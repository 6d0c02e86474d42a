"""What tests of the engine share: a model that says what it is told, and CTC written out."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from engines.backends import Context, Proposal, Query
from engines.schedule import Schedule

MASK = 99


@dataclass
class FakeBackend:
    """Proposes `says[prompt][position]` with probability `sure[prompt][position]`."""

    says: dict[int, Sequence[int]]
    sure: dict[int, Sequence[float]] = field(default_factory=dict)
    block_causal: bool = True
    mask_id: int = MASK
    passes: list[list[Query]] = field(default_factory=list)
    admitted: list[int] = field(default_factory=list)
    released: list[int] = field(default_factory=list)

    def admit(self, context: Context, schedule: Schedule) -> int:
        self.admitted.append(context.prompt[0])
        return context.prompt[0]

    def fork(self, state: int) -> int:
        return state

    def release(self, state: int) -> None:
        self.released.append(state)

    def propose(self, queries: Sequence[Query]) -> list[Proposal]:
        # the decoder goes on writing into the response it handed over
        self.passes.append([_frozen(query) for query in queries])
        return [self._answer(query) for query in queries]

    def _answer(self, query: Query) -> Proposal:
        tokens = query.targets
        if tokens is None:
            tokens = np.array(self.says.get(query.state, []), dtype=np.int64)[query.active]
        sure = np.array(self.sure.get(query.state, [0.5] * 999))[query.active]
        return Proposal(tokens, np.log(sure).astype(np.float32))


def _frozen(query: Query) -> Query:
    return Query(
        query.state, query.response.copy(), query.begin, query.end, query.active, query.targets
    )


def alignment(frames, pieces, blank=0):
    """The best CTC alignment of one sentence, as Graves et al. write it down."""
    labels = [blank]
    for piece in pieces:
        labels += [piece, blank]
    scores = np.full(len(labels), -np.inf)
    scores[:2] = frames[0, labels[:2]]
    for frame in frames[1:]:
        before = scores
        scores = np.empty_like(before)
        for place, label in enumerate(labels):
            ways = [before[place]]
            if place:
                ways.append(before[place - 1])
            if place > 1 and label not in (blank, labels[place - 2]):
                ways.append(before[place - 2])
            scores[place] = max(ways) + frame[label]
    return max(scores[-2:])
