"""A language model that says what a test tells it to, and counts what it is asked."""

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
