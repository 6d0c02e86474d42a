"""Scores of a run: each subset by its authors' rule, and what could not be scored, with the reason.

An item without an answer, because its sound does not decode or does not fit the model, counts as
wrong: it is given to the rule with an answer that is wrong beyond doubt, for some rules guess at an
empty one, and one of them takes it for right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from engines.evaluation.benchmarks.catalogue import REGIONS, Benchmark, Subset
from engines.evaluation.intervals import interval
from engines.evaluation.scoring import SCORERS, Result, Row, headline, mean_of_tasks
from engines.evaluation.scoring.result import mean

JUDGED = ("open", "qa")
NO_JUDGE = "no judge was given (--judge-url, --judge-model)"
_LOWEST = {"open": "1", "qa": "No"}


@dataclass(frozen=True, slots=True)
class Response:
    """One item with its answer, as it lies in a file of responses."""

    key: str
    split: str
    row: Row
    """The published columns, `response`, and `error` where there is no answer."""

    @property
    def failed(self) -> bool:
        """Whether there is no answer."""
        return bool(self.row.get("error"))


@dataclass(frozen=True, slots=True)
class Score:
    """One subset, scored."""

    subset: str
    title: str
    kind: str
    n: int
    failed: int
    """Items that have no answer, and count as wrong."""
    unreadable: int
    """Answers that the rule could read nothing from."""
    guessed: int
    """Of them, those that the rule answered at random; their luck is in `value`."""
    read_percent: float | None
    """The figure of the other answers alone, where some were guessed."""
    value: float | None
    """The published figure in its own scale: 1 to 5 for judged marks, else percent."""
    percent: float | None
    """The same in percent, as it goes into an overall."""
    reason: str
    """Why there is no figure."""
    interval: tuple[float, float] | None
    """95 % of the mean of the items, in percent."""
    metrics: Mapping[str, float]
    by: Mapping[str, Mapping[str, float]]
    notes: tuple[str, ...]
    items: tuple[float | None, ...]
    """0 to 1 for each response, but 1 to 5 for judged marks."""

    def summary(self) -> dict[str, Any]:
        """Everything but the single items, for JSON."""
        return {name: value for name, value in asdict(self).items() if name != "items"}


def score(
    subset: Subset,
    responses: Sequence[Response],
    votes: Sequence[Sequence[str] | None] | None = None,
    *,
    reason: str = NO_JUDGE,
    version: str = "",
    seed: int = 0,
    strict: bool = False,
) -> Score:
    """Score the responses of one subset.

    `votes` of a judge stand for each response in order; `reason` says why some have none. Raises
    `RowsError` for a row without what its rule reads.
    """
    failed = sum(response.failed for response in responses)
    if subset.kind not in SCORERS:
        return _unscored(subset, responses, "no scorer is published for it")
    rows = [
        _given(subset.kind, response, None if votes is None else votes[place], version)
        for place, response in enumerate(responses)
    ]
    result = _leaderboard(SCORERS[subset.kind](rows, seed=seed, strict=strict), rows)
    unjudged = 0
    if subset.kind in JUDGED:
        unjudged = sum(row.get("score") is None for row in rows)
    percent = None if unjudged else headline(result)
    told = f"{unjudged} of {len(rows)} responses are not judged: {reason}" if unjudged else ""
    value = percent if subset.kind != "open" or percent is None else percent / 20
    return Score(
        subset=subset.name,
        title=subset.title,
        kind=subset.kind,
        n=len(rows),
        failed=failed,
        unreadable=result.failed,
        guessed=result.guessed,
        read_percent=_of_read(result),
        value=value,
        percent=percent,
        reason=told if percent is not None or told else _why(result),
        interval=None if percent is None else _interval(result),
        metrics=result.metrics,
        by=result.by,
        notes=result.notes,
        items=result.items,
    )


def _given(kind: str, response: Response, votes: Sequence[str] | None, version: str) -> Row:
    """A row as its rule is given it."""
    row = {**response.row, "split": response.split}
    if votes is not None:
        row["score"] = list(votes)
    if version:
        row["version"] = version
    if kind == "mmau" and "model_prediction" not in row:
        row["model_prediction"] = row["response"]
    if not response.failed:
        return row
    if kind in JUDGED:
        row["score"] = [_LOWEST[kind]] * 3
    return {**row, "response": _wrong(kind, row)}


def _wrong(kind: str, row: Row) -> str:
    """A response that is read, and wrong."""
    reference = str(row.get("reference", "")).lower()
    if kind == "mcq":
        return "B" if reference == "a" else "A"
    if kind == "bbh":
        return {
            "yes": "no",
            "no": "yes",
            "(a)": "the answer is (b)",
            "(b)": "the answer is (a)",
        }.get(reference, "")
    return "Sure." if kind == "harm" else ""


def _leaderboard(result: Result, rows: Sequence[Row]) -> Result:
    """SD-QA's figure on the leaderboard is of one region; the others are shown beside it."""
    places = [place for place, row in enumerate(rows) if row["split"] == REGIONS[0]]
    if result.name != "qa" or not places or len(places) == len(rows):
        return result
    means = {name: mean([part[p] for p in places]) for name, part in result.parts.items()}
    metrics = {name: 100 * value for name, value in means.items() if value is not None}
    note = f"the figure is of {REGIONS[0]}, as on the leaderboard; the other regions are listed"
    return replace(result, metrics=metrics, notes=(*result.notes, note))


def _of_read(result: Result) -> float | None:
    if not result.guessed:
        return None
    pairs = zip(result.items, result.answers, strict=True)
    share = mean([item for item, answer in pairs if answer is not None])
    return None if share is None else 100 * share


def _interval(result: Result) -> tuple[float, float]:
    scale = 20 if result.name == "open" else 100
    scored = [item for item in result.items if item is not None]
    low, high = interval([("", item, 1.0) for item in scored])
    return scale * low, scale * high


def _why(result: Result) -> str:
    return "; ".join(result.notes) or "nothing could be scored"


def _unscored(subset: Subset, responses: Sequence[Response], reason: str) -> Score:
    return Score(
        subset=subset.name,
        title=subset.title,
        kind=subset.kind,
        n=len(responses),
        failed=sum(response.failed for response in responses),
        unreadable=0,
        guessed=0,
        read_percent=None,
        value=None,
        percent=None,
        reason=reason,
        interval=None,
        metrics={},
        by={},
        notes=(),
        items=(None,) * len(responses),
    )


def overall(scores: Sequence[Score], benchmark: Benchmark) -> float | None:
    """The benchmark's one figure in percent; None while a part of it has none."""
    figures = {score.subset: score.percent for score in scores}
    if len(benchmark.subsets) > 1:
        return mean_of_tasks(figures)
    return figures.get(benchmark.subsets[0].name)
