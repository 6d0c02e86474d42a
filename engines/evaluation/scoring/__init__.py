"""The rules of VoiceBench, MMSU and MMAU, equal to their authors' evaluators.

Each rule takes response lines as the benchmark publishes them and returns a `Result`.
"""

from engines.evaluation.scoring import bbh, harm, ifeval, mcq, mmau, mmsu, open_ended, qa
from engines.evaluation.scoring.result import Result, Row, RowsError, Scorer
from engines.evaluation.scoring.voicebench import (
    KINDS,
    TASKS,
    counted,
    headline,
    mean_of_tasks,
    overall,
)

__all__ = [
    "KINDS",
    "SCORERS",
    "TASKS",
    "Result",
    "Row",
    "RowsError",
    "Scorer",
    "counted",
    "headline",
    "mean_of_tasks",
    "overall",
]

SCORERS: dict[str, Scorer] = {
    "bbh": bbh.score,
    "harm": harm.score,
    "ifeval": ifeval.score,
    "mcq": mcq.score,
    "mmau": mmau.score,
    "mmsu": mmsu.score,
    "open": open_ended.score,
    "qa": qa.score,
}
"""The rule of each kind of subset."""
