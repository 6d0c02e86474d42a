"""What `assistant evaluate voicebench|mmsu|mmau` does: answer, judge, score, report."""

from pathlib import Path

from assistant.cli.benchmark_answers import answered, given
from assistant.cli.benchmark_options import Making, Marking
from assistant.cli.benchmark_scores import publish_scores, score
from assistant.cli.mending import told
from assistant.errors import UserError


def evaluate(name: str, out: Path, making: Making, marking: Marking) -> None:
    """Run a benchmark, or score responses made elsewhere; raises `UserError`."""
    from engines.checkpoints import CheckpointError
    from engines.evaluation.benchmarks.catalogue import BENCHMARKS

    benchmark = BENCHMARKS[name]
    try:
        with told(out):
            found = (
                given(benchmark, making, marking)
                if marking.responses
                else answered(benchmark, out, making)
            )
            if found is None:
                return
            outcome = score(found, out, marking)
            publish_scores(benchmark, outcome, found, out, marking)
    except CheckpointError as error:
        raise UserError(f"--model: {error}") from error
    if outcome.trouble:
        raise UserError(f"{outcome.trouble}; the votes so far are kept: run it again to go on")
