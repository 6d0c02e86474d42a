"""The rules of VoiceBench, MMSU and MMAU, equal to their authors' evaluators.

Each rule takes response lines as the benchmark publishes them and returns a `Result`.
"""

from engines.evaluation.scoring import bbh, harm, mcq
from engines.evaluation.scoring.result import Result, Row, RowsError, Scorer

__all__ = ["SCORERS", "Result", "Row", "RowsError", "Scorer"]

SCORERS: dict[str, Scorer] = {
    "bbh": bbh.score,
    "harm": harm.score,
    "mcq": mcq.score,
}
"""The rule of each kind of subset."""
