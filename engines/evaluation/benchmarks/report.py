"""What a report says: the same tables for Markdown, HTML and JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engines.evaluation.benchmarks.catalogue import Benchmark
from engines.evaluation.benchmarks.finish import Outcome
from engines.evaluation.benchmarks.published import System, systems
from engines.evaluation.benchmarks.radar import Series
from engines.evaluation.benchmarks.scores import JUDGED, Score, overall
from engines.evaluation.benchmarks.speed import Speed
from engines.evaluation.scoring import counted

RUN, GUESSED = "this run", "guessed"
_GROUP_SHOWN = {"mmsu": "sub-category", "mmau": "task"}
"""The group whose members have published figures and are the axes of a plot."""
_GUESSING = ("mcq", "bbh")
"""Rules that answer at random what they cannot read."""
MOSTLY = 50
"""Percent of guesses above which a figure says more of the dice than of the model."""
_DRAWN = ("DIFFA", "Qwen2-Audio", "Whisper-large-v3 + LLaMA-3.1-8B")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts; all columns but the first are figures."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    folded: bool = False
    """Details that a page shows on demand."""


@dataclass(frozen=True, slots=True)
class BadItem:
    """An item that went wrong."""

    key: str
    title: str
    asked: str
    answered: str
    wanted: str
    score: str
    audio: str
    """Path of the recording beside the report, or nothing."""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a report shows."""

    title: str
    headline: str
    facts: tuple[tuple[str, str], ...]
    scores: Table
    details: tuple[Table, ...]
    speed: Table | None
    axes: tuple[str, ...]
    series: tuple[Series, ...]
    worst: tuple[BadItem, ...]
    failures: tuple[str, ...]
    sources: tuple[str, ...]
    command: str


def build(
    benchmark: Benchmark,
    outcome: Outcome,
    facts: Mapping[str, str],
    command: str,
    *,
    speed: Speed | None = None,
    worst: Sequence[BadItem] = (),
    failures: Sequence[str] = (),
) -> Report:
    """Arrange a run's figures beside the published ones."""
    others = systems(benchmark.name)
    axes, series = _plot(benchmark, outcome.scores, others)
    return Report(
        title=benchmark.title,
        headline=_headline(benchmark, outcome.scores),
        facts=tuple(facts.items()),
        scores=_scores(benchmark, outcome, others),
        details=tuple(_details(benchmark, outcome.scores)),
        speed=None if speed is None else _speed(speed),
        axes=axes,
        series=series,
        worst=tuple(worst),
        failures=tuple(failures),
        sources=tuple(f"{each.name}: {each.source}" for each in others),
        command=command,
    )


def _headline(benchmark: Benchmark, scores: Sequence[Score]) -> str:
    whole = overall(scores, benchmark)
    if whole is not None:
        return f"{whole:.2f} overall"
    parts = [each.name for each in benchmark.subsets]
    if len(parts) > 1:
        parts = counted({score.subset for score in scores})
    figures = [score for score in scores if score.value is not None and score.subset in parts]
    return f"{len(figures)} of {len(parts)} parts scored"


def _scores(benchmark: Benchmark, outcome: Outcome, others: Sequence[System]) -> Table:
    rows, notes = [], []
    for score in outcome.scores:
        figures = (other.shown(score.subset) for other in others)
        own = (score.title, str(score.n), _value(score), _guesses(score), _interval(score))
        rows.append((*own, *figures))
        rows += _members(benchmark, score, others)
        notes += [f"{score.title}: {each}" for each in _remarks(score)]
    if len(benchmark.subsets) > 1:
        whole, guessed = overall(outcome.scores, benchmark), _all_guesses(outcome.scores)
        shown = "not scored" if whole is None else f"{whole:.2f}"
        rows.append(
            ("Overall", "", shown, guessed, "", *(each.shown("overall") for each in others))
        )
        if whole is None:
            notes.append("Overall: the mean of nine tasks, given when all of them are scored")
    if outcome.garbled:
        notes.append(f"{outcome.garbled} responses got no votes of the judge that can be read")
    head = ("", "items", RUN, GUESSED, "95 %", *(each.name for each in others))
    table = Table("Scores", head, tuple(rows), tuple(notes))
    guesses = any(score.kind in _GUESSING for score in outcome.scores)
    return table if guesses else _without(table, head.index(GUESSED))


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
    group = score.by.get(_GROUP_SHOWN.get(benchmark.name, ""), {})
    return [
        (f"· {name}", "", f"{value:.2f}", "", "", *(other.shown(name) for other in others))
        for name, value in group.items()
    ]


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
    mostly = ": the figure is mostly chance" if share > MOSTLY else ""
    return f"{told}{mostly}; of the others {score.read_percent:.2f} % are right"


def _details(benchmark: Benchmark, scores: Sequence[Score]) -> list[Table]:
    tables = []
    for score in scores:
        if len(score.metrics) > 1:
            rows = tuple((name, f"{value:.2f}") for name, value in score.metrics.items())
            tables.append(Table(f"{score.title}: metrics", ("", RUN), rows, folded=True))
        for group, members in score.by.items():
            if group != _GROUP_SHOWN.get(benchmark.name) and len(members) > 1:
                rows = tuple((name, f"{value:.2f}") for name, value in members.items())
                tables.append(Table(f"{score.title}: by {group}", ("", RUN), rows, folded=True))
    return tables


def _speed(speed: Speed) -> Table:
    rows = [
        ("items answered", f"{speed.items - speed.failed}"),
        ("recordings", f"{speed.audio_s / 60:.1f} min"),
        ("latency, p50", f"{1000 * speed.latency_p50_s:.0f} ms"),
        ("latency, p95", f"{1000 * speed.latency_p95_s:.0f} ms"),
        ("first block, p50", f"{1000 * speed.first_p50_s:.0f} ms"),
        ("first block, p95", f"{1000 * speed.first_p95_s:.0f} ms"),
        ("passes a token", _maybe(speed.passes_per_token, "")),
        ("tokens", _maybe(speed.tokens_per_s, " a second")),
        ("real-time factor", _maybe(speed.real_time_factor, "")),
        ("engine busy", _share(speed.busy)),
        ("denoising", _share(speed.denoising)),
        ("batch filled", _share(speed.filled)),
        ("recordings cut", f"{speed.cut}"),
    ]
    notes = (
        "latency is from an item's encoding to its last token, with others in the same batch",
        "busy is encoding or denoising; filled is what share of the batch was in use by denoising",
    )
    return Table("Speed", ("", RUN), tuple(rows), notes)


def _maybe(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{value:.3g}{unit}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _plot(
    benchmark: Benchmark, scores: Sequence[Score], others: Sequence[System]
) -> tuple[tuple[str, ...], tuple[Series, ...]]:
    """Axes that this run has figures on, at least three, and the systems that have some, too."""
    own: dict[str, tuple[str, float, float]] = {}
    for score in scores:
        if len(benchmark.subsets) > 1 and score.percent is not None:
            own[score.subset] = (score.title, score.percent, 20 if score.kind == "open" else 1)
        for name, value in score.by.get(_GROUP_SHOWN.get(benchmark.name, ""), {}).items():
            own[name] = (name, value, 1)
    if len(own) < 3:
        return (), ()
    series = [Series(RUN, tuple(value for _, value, _ in own.values()))]
    for other in others:
        figures = [_scaled(other.figure(name), scale) for name, (_, _, scale) in own.items()]
        if other.name in _DRAWN and sum(figure is not None for figure in figures) > 2:
            series.append(Series(other.name, tuple(figures)))
    return tuple(title for title, _, _ in own.values()), tuple(series)


def _scaled(figure: float | None, scale: float) -> float | None:
    return None if figure is None else figure * scale


def summary(
    benchmark: Benchmark, outcome: Outcome, record: Mapping[str, Any], speed: Speed | None
) -> dict[str, Any]:
    """The same for a program."""
    return {
        "benchmark": benchmark.name,
        "overall": overall(outcome.scores, benchmark),
        "scores": [score.summary() for score in outcome.scores],
        "judge_stopped": outcome.trouble,
        "judge_garbled": outcome.garbled,
        "speed": None if speed is None else speed.summary(),
        "run": dict(record),
    }
