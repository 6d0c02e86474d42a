"""MMAU (Sakshi et al. 2024): the words of the right choice and of no other.

The rule is the same for MMAU-v05.15.25 and for the questions published before it, of which that
version revised a quarter: figures of the two cannot be compared.
"""

import re
from collections.abc import Sequence

from engines.evaluation.scoring.result import (
    Result,
    Row,
    RowsError,
    grouped,
    labels,
    mean,
    text,
)

_GROUPS = ("task", "difficulty", "sub-category")


def right(prediction: str, answer: str, choices: Sequence[str]) -> bool:
    """Whether all words of the answer are there, and none that only a wrong choice has."""
    said, wanted = _words(prediction), _words(answer)
    others: set[str] = set().union(*map(_words, choices)) - wanted
    return bool(said) and wanted <= said and said.isdisjoint(others)


def score(rows: Sequence[Row], *, seed: int = 0, strict: bool = False) -> Result:
    """`acc` in percent, by task, difficulty and sub-category.

    The prediction is read from `model_prediction`; rows without one are not counted.
    """
    del seed, strict  # nothing is guessed, and no defect is known
    items = [_item(row, number) for number, row in enumerate(rows, 1)]
    accuracy = mean(items)
    return Result(
        name="mmau",
        n=len(rows),
        metrics={} if accuracy is None else {"acc": 100 * accuracy},
        unscored=items.count(None),
        by=grouped(items, {name: labels(rows, name) for name in _GROUPS}),
        items=tuple(items),
        notes=(_version(rows),),
    )


def _item(row: Row, number: int) -> float | None:
    if "model_prediction" not in row:
        return None
    choices = row.get("choices")
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        raise RowsError(f"row {number}: choices is not a list of texts")
    prediction = text(row, number, "model_prediction")
    return float(right(prediction, text(row, number, "answer"), choices))


def _words(phrase: str) -> set[str]:
    return set(re.findall(r"\b\w+\b", phrase.lower()))


def _version(rows: Sequence[Row]) -> str:
    versions = {version for version in labels(rows, "version") if version is not None}
    if len(versions) == 1:
        return f"questions of {versions.pop()}"
    return (
        "the rows do not say which version of MMAU they are of; v05.15.25 revised a quarter of "
        "the questions"
    )
