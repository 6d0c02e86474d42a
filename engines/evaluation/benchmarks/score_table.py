"""The table of a run's scores beside those that others published."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from engines.evaluation.benchmarks.catalogue import Benchmark
from engines.evaluation.benchmarks.finish import Outcome
from engines.evaluation.benchmarks.published import System
from engines.evaluation.benchmarks.scores import JUDGED, Score, overall
from engines.evaluation.benchmarks.tables import Bar, Table

RUN, GUESSED = "this run", "guessed"
GROUP_SHOWN = {"mmsu": "sub-category", "mmau": "task"}
"""The group whose members have published figures and are the axes of a plot."""
MOSTLY = 50
"""Percent of guesses above which a figure says more of the dice than of the model."""
_GUESSING = ("mcq", "bbh")
"""Rules that answer at random what they cannot read."""


def table(benchmark: Benchmark, outcome: Outcome, others: Sequence[System]) -> Table:
    """Every subset's figure, with how sure and how lucky it is, beside the published ones."""
    rows, bars, notes = [], [], []
    for score in outcome.scores:
        figures = (other.shown(score.subset) for other in others)
        own = (score.title, str(score.n), _value(score), _guesses(score), _interval(score))
        rows.append((*own, *figures))
        bars.append(None if score.percent is None else Bar(score.percent, chance=chance(score)))
        rows += _members(benchmark, score, others)
        bars += [Bar(value) for value in _groups(benchmark, score).values()]
        notes += [f"{score.title}: {each}" for each in _remarks(score)]
    if len(benchmark.subsets) > 1:
        whole, guessed = overall(outcome.scores, benchmark), _all_guesses(outcome.scores)
        shown = "not scored" if whole is None else f"{whole:.2f}"
        rows.append(
            ("Overall", "", shown, guessed, "", *(each.shown("overall") for each in others))
        )
        bars.append(None if whole is None else Bar(whole))
        if whole is None:
            notes.append("Overall: the mean of nine tasks, given when all of them are scored")
    if outcome.garbled:
        notes.append(f"{outcome.garbled} responses got no votes of the judge that can be read")
    head = ("", "items", RUN, GUESSED, "95 %", *(each.name for each in others))
    whole_table = Table("Scores", head, tuple(rows), tuple(notes), tuple(bars))
    guesses = any(score.kind in _GUESSING for score in outcome.scores)
    return whole_table if guesses else _without(whole_table, head.index(GUESSED))


def _without(table: Table, place: int) -> Table:
    """A table less one column."""
    head, *rows = ((*row[:place], *row[place + 1 :]) for row in (table.head, *table.rows))
    return replace(table, head=head, rows=tuple(rows))


def _guesses(score: Score) -> str:
    """How many answers a rule made up, beside the figure that they are in."""
    if score.kind not in _GUESSING or not score.n:
        return ""
    return f"{score.guessed} ({100 * score.guessed / score.n:.0f} %)" if score.guessed else "0"


def _all_guesses(scores: Sequence[Score]) -> str:
    guessed = sum(score.guessed for score in scores)
    return str(guessed) if guessed else ""


def _members(benchmark: Benchmark, score: Score, others: Sequence[System]) -> list[tuple[str, ...]]:
    """Rows of the groups that others have figures of, too."""
    return [
        (f"· {name}", "", f"{value:.2f}", "", "", *(other.shown(name) for other in others))
        for name, value in _groups(benchmark, score).items()
    ]


def _groups(benchmark: Benchmark, score: Score) -> Mapping[str, float]:
    return score.by.get(GROUP_SHOWN.get(benchmark.name, ""), {})


def chance(score: Score) -> bool:
    """Whether a figure says more of the dice than of the model."""
    return score.n > 0 and 100 * score.guessed / score.n > MOSTLY


def _value(score: Score) -> str:
    return "not scored" if score.value is None else f"{score.value:.2f}"


def _interval(score: Score) -> str:
    if score.interval is None:
        return ""
    scale = 20 if score.kind == "open" else 1
    return " to ".join(f"{bound / scale:.2f}" for bound in score.interval)


def _remarks(score: Score) -> list[str]:
    remarks = [score.reason] if score.reason else []
    if score.failed:
        remarks.append(f"{score.failed} items without an answer count as wrong")
    if score.guessed:
        remarks.append(_on_guesses(score))
    elif score.unreadable and score.kind != "ifeval":
        share = 100 * score.unreadable / score.n
        unread = f"no answer could be read from {score.unreadable} responses ({share:.1f} %)"
        remarks.append(unread if score.kind in JUDGED else f"{unread}: counted as wrong")
    return [*remarks, *(note for note in score.notes if note not in score.reason)]


def _on_guesses(score: Score) -> str:
    """How far a figure is luck: guesses are the official rule, and say nothing of the model."""
    share = 100 * score.guessed / score.n
    told = (
        f"no answer could be read from {score.guessed} of {score.n} responses ({share:.1f} %), "
        "which are guessed at random, as the official rule does"
    )
    if score.read_percent is None:
        return f"{told}: the figure is chance alone"
    mostly = ": the figure is mostly chance" if chance(score) else ""
    return f"{told}{mostly}; of the others {score.read_percent:.2f} % are right"
