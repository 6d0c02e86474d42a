"""VoiceBench `open` (AlpacaEval, CommonEval, WildVoice): a judge's marks from 1 to 5."""

import math
import re
from collections.abc import Sequence

from engines.evaluation.scoring.result import Result, Row, mean
from engines.evaluation.scoring.votes import votes

_RATING = re.compile(r"\[\[(\d+)\]\]")
_NOTES = ("strict: marks outside 1 to 5 are not counted",)


def mark(vote: str, *, strict: bool = False) -> float | None:
    """The number a vote is, or has in double square brackets; `None` where there is neither."""
    found = _RATING.search(vote)
    try:
        value = float(vote)
    except ValueError:
        value = float(found[1]) if found else math.nan
    inside = 1 <= value <= 5 if strict else math.isfinite(value)
    return value if inside else None


def score(rows: Sequence[Row], *, seed: int = 0, strict: bool = False) -> Result:
    """`gpt`, the mean of all votes of all rows, 1 to 5; `items` has the mean of each row.

    Rows without a readable vote are `unscored`. (The official evaluator stops at a vote that it
    cannot read.)
    """
    del seed  # nothing is guessed
    marks = [[mark(vote, strict=strict) for vote in votes(row, n)] for n, row in enumerate(rows, 1)]
    unread = [one.count(None) for one in marks]
    whole = mean([value for one in marks for value in one])
    items = [mean(one) for one in marks]
    notes = list(_NOTES) if strict else []
    if sum(unread):
        notes.append(f"{sum(unread)} votes of the judge are no mark, and not counted")
    return Result(
        name="open",
        n=len(rows),
        metrics={} if whole is None else {"gpt": whole},
        failed=sum(map(bool, unread)),
        unscored=items.count(None),
        items=tuple(items),
        notes=tuple(notes),
    )
