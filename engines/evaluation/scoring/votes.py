"""The judge's raw answers, which VoiceBench keeps in `score`."""

from engines.evaluation.scoring.result import Row, RowsError


def votes(row: Row, number: int) -> list[str]:
    """The votes of one row as text, none where it was not judged; `number` counts from 1."""
    value = row.get("score")
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, str | int | float) for one in value):
        raise RowsError(f"row {number}: score is not a list of the judge's answers")
    return [str(one) for one in value]
