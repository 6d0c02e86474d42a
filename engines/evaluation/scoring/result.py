"""What a scorer is given and what it returns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Row = Mapping[str, Any]
"""One line of a response file, in the benchmark's own published format."""


class RowsError(ValueError):
    """A row lacks what its rule reads; the message names the row (from 1) and the field."""


@dataclass(frozen=True, slots=True)
class Result:
    """One rule applied to the responses of one subset.

    Nothing that could not be scored counts as zero: it is `None` in `items`, counted in
    `unscored`, and left out of every mean.
    """

    name: str
    """The rule: a key of `SCORERS`."""

    n: int
    """Responses given, scored or not."""

    metrics: dict[str, float]
    """Under the official evaluator's own names; percent, but `gpt` of `open` is 1 to 5."""

    failed: int = 0
    """Responses no answer could be read from: guessed at random, or wrong by rule."""

    guessed: int = 0
    """Of `failed`, those that were given a random answer."""

    unscored: int = 0
    """Responses that lack something the rule needs, such as a judge's votes."""

    by: dict[str, dict[str, float]] = field(default_factory=dict)
    """The headline metric of each member of each group: `by["category"]["Reasoning"]`."""

    items: tuple[float | None, ...] = ()
    """One score for each row, in order; 0 to 1, but 1 to 5 for `open`."""

    parts: dict[str, tuple[float | None, ...]] = field(default_factory=dict)
    """Scores for each row under the metrics that `items` is the mean of, where it is one."""

    answers: tuple[str | None, ...] = ()
    """What was read from each response; `None` where nothing was."""

    notes: tuple[str, ...] = ()
    """What a reader of the figures must know: mended defects, missing packages, versions."""


class Scorer(Protocol):
    """The rule of one kind of subset."""

    def __call__(self, rows: Sequence[Row], *, seed: int = 0, strict: bool = False) -> Result:
        """Score all rows as the official evaluator does; `strict` mends its known defects.

        `seed` decides the guesses of the rules that guess. Raises `RowsError`.
        """
        ...


def text(row: Row, number: int, name: str) -> str:
    """A field that must be a string; `number` counts rows from 1."""
    value = row.get(name)
    if not isinstance(value, str):
        wrong = "missing" if value is None else f"{type(value).__name__}, not text"
        raise RowsError(f"row {number}: {name} is {wrong}")
    return value


def texts(rows: Sequence[Row], name: str) -> list[str]:
    """One string field of all rows."""
    return [text(row, number, name) for number, row in enumerate(rows, 1)]


def mean(values: Sequence[float | None]) -> float | None:
    """The mean of what was scored; `None` where nothing was."""
    scored = [value for value in values if value is not None]
    return sum(scored) / len(scored) if scored else None


def percent(count: float, rows: Sequence[Row]) -> float:
    """A count as a share of all rows."""
    return 100 * count / len(rows)


def labels(rows: Sequence[Row], name: str) -> list[str | None]:
    """What each row says under `name`; `None` where it says nothing."""
    return [None if row.get(name) in {None, ""} else str(row[name]) for row in rows]


def grouped(
    items: Sequence[float | None], groups: Mapping[str, Sequence[str | None]]
) -> dict[str, dict[str, float]]:
    """The mean of `items` in percent for each label of each group; groups without any are left out.

    A member of which nothing was scored has no mean.
    """
    means: dict[str, dict[str, float]] = {}
    for group, members in groups.items():
        held: dict[str, list[float | None]] = {}
        for label, item in zip(members, items, strict=True):
            if label is not None:
                held.setdefault(label, []).append(item)
        found = {label: mean(values) for label, values in sorted(held.items())}
        if held:
            means[group] = {label: 100 * m for label, m in found.items() if m is not None}
    return means
