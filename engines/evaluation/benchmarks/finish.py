"""From responses to scores: a judge's votes, each subset's rule, and what went wrong."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engines.evaluation.benchmarks.catalogue import Subset
from engines.evaluation.benchmarks.items import BenchmarkError
from engines.evaluation.benchmarks.journal import write_whole
from engines.evaluation.benchmarks.judge import Judge, Votes
from engines.evaluation.benchmarks.scores import JUDGED, NO_JUDGE, Response, Score, score

ITEMS, JUDGED_FOLDER = "items.jsonl", "judged"
WORST_OF_EACH = 3

Ticks = Callable[[Subset, int, int], None]
"""Told of a subset, and how many more of how many responses are judged."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How responses are scored."""

    judge: Judge | None = None
    seed: int = 0
    strict: bool = False
    version: str = ""
    """Which questions, where a benchmark has revised them."""


@dataclass(frozen=True, slots=True)
class Bad:
    """An item that went wrong, to be looked at and listened to."""

    title: str
    response: Response
    score: float
    """0 to 1, but 1 to 5 for judged marks."""


@dataclass(slots=True)
class Outcome:
    """Everything scored."""

    scores: list[Score] = field(default_factory=list)
    worst: list[Bad] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """Items without an answer, with the reason."""
    garbled: int = 0
    """Responses that the judge gave no readable votes on."""
    trouble: str = ""
    """Why the judge stopped before its end."""


class Finisher:
    """Scores subsets one at a time, so that no more than one is held."""

    def __init__(self, out: Path, rules: Rules, tick: Ticks = lambda *_: None) -> None:
        """Write into the folder `out`; `tick` is told when responses of a subset were judged."""
        self._out, self._rules, self._tick = out, rules, tick
        self._outcome = Outcome()

    def finish(self, groups: Iterable[tuple[Subset, Sequence[Response]]]) -> Outcome:
        """Score each subset's responses, and keep every item's score in `items.jsonl`.

        A judge that fails is told in the outcome: its votes are kept, and what lacks votes is not
        scored. Raises `RowsError`.
        """
        write_whole(self._out / ITEMS, self._lines(groups))
        return self._outcome

    def _lines(self, groups: Iterable[tuple[Subset, Sequence[Response]]]) -> Iterator[str]:
        for subset, responses in groups:
            found = self._score(subset, responses)
            self._outcome.scores.append(found)
            self._outcome.worst += _worst(found, responses)
            self._outcome.failures += [
                f"{each.key}: {each.row['error']}" for each in responses if each.failed
            ]
            for response, item in zip(responses, found.items, strict=True):
                row = {"item": response.key, "score": item, "failed": response.failed}
                yield json.dumps(row) + "\n"

    def _score(self, subset: Subset, responses: Sequence[Response]) -> Score:
        votes: list[Votes | None] | None = None
        reason = NO_JUDGE
        if subset.kind in JUDGED:
            votes = [_own(response) for response in responses]
            if self._rules.judge is not None:
                reason = self._judge(subset, responses, votes, self._rules.judge)
            _keep(self._out / JUDGED_FOLDER / f"result-{subset.name}.jsonl", responses, votes)
        return score(
            subset,
            responses,
            votes,
            reason=reason,
            version=self._rules.version,
            seed=self._rules.seed,
            strict=self._rules.strict,
        )

    def _judge(
        self,
        subset: Subset,
        responses: Sequence[Response],
        votes: list[Votes | None],
        judge: Judge,
    ) -> str:
        """Fill in the votes that are missing; returns why some still are."""
        places = [
            place
            for place, (vote, response) in enumerate(zip(votes, responses, strict=True))
            if vote is None and not response.failed
        ]
        rows = [responses[place].row for place in places]
        if not self._outcome.trouble:
            try:
                verdicts = judge.judge(rows, tick=lambda more: self._tick(subset, more, len(rows)))
            except BenchmarkError as error:
                self._outcome.trouble = str(error)
            else:
                self._outcome.garbled += verdicts.garbled
                for place, vote in zip(places, verdicts.votes, strict=True):
                    votes[place] = vote or ()
                return ""
        for place, vote in zip(places, judge.known(rows), strict=True):
            votes[place] = vote
        return self._outcome.trouble


def _own(response: Response) -> Votes | None:
    """Votes that came with the response, as the official script writes them."""
    found = response.row.get("score")
    return tuple(map(str, found)) if isinstance(found, list) else None


def _keep(path: Path, responses: Sequence[Response], votes: Sequence[Votes | None]) -> None:
    """Write the judged responses as the official script does: the votes as `score`."""
    if all(vote is None for vote in votes):
        return
    rows = (
        {**response.row, **({} if vote is None else {"score": list(vote)})}
        for response, vote in zip(responses, votes, strict=True)
    )
    lines = (json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
    write_whole(path, lines)


def _worst(found: Score, responses: Sequence[Response]) -> list[Bad]:
    """A few of the items that went worst, those without an answer first, spread over all."""
    best = 5.0 if found.kind == "open" else 1.0
    bad = [
        Bad(found.title, response, item)
        for response, item in zip(responses, found.items, strict=True)
        if item is not None and item < best
    ]
    if not bad:
        return []
    lowest = min((not each.response.failed, each.score) for each in bad)
    worst = [each for each in bad if (not each.response.failed, each.score) == lowest]
    count = min(WORST_OF_EACH, len(worst))
    return [worst[place * len(worst) // count] for place in range(count)]
