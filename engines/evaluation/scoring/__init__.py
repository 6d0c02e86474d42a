"""The rules of VoiceBench, MMSU and MMAU, equal to their authors' evaluators.

Each rule takes response lines as the benchmark publishes them and returns a `Result`.
"""

from engines.evaluation.scoring import harm
from engines.evaluation.scoring.result import Result, Row, RowsError, Scorer

__all__ = ["SCORERS", "Result", "Row", "RowsError", "Scorer"]

SCORERS: dict[str, Scorer] = {
    "harm": harm.score,
}
"""The rule of each kind of subset."""
