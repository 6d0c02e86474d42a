"""What a report says: the same tables for Markdown, HTML and JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engines.evaluation.benchmarks import score_table
from engines.evaluation.benchmarks.catalogue import Benchmark
from engines.evaluation.benchmarks.finish import Outcome
from engines.evaluation.benchmarks.published import System, systems
from engines.evaluation.benchmarks.radar import Series
from engines.evaluation.benchmarks.score_table import GROUP_SHOWN, RUN, chance
from engines.evaluation.benchmarks.scores import Score, overall
from engines.evaluation.benchmarks.speed import Speed
from engines.evaluation.benchmarks.tables import Table
from engines.evaluation.scoring import counted

_DRAWN = ("DIFFA", "Qwen2-Audio", "Whisper-large-v3 + LLaMA-3.1-8B")


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
        scores=score_table.table(benchmark, outcome, others),
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


def _details(benchmark: Benchmark, scores: Sequence[Score]) -> list[Table]:
    tables = []
    for score in scores:
        if len(score.metrics) > 1:
            rows = tuple((name, f"{value:.2f}") for name, value in score.metrics.items())
            tables.append(Table(f"{score.title}: metrics", ("", RUN), rows, folded=True))
        for group, members in score.by.items():
            if group != GROUP_SHOWN.get(benchmark.name) and len(members) > 1:
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
    """Axes that this run has figures on, at least three, and the systems that have some, too.

    A figure of this run that is mostly chance is left out.
    """
    own: dict[str, tuple[str, float | None, float]] = {}
    for score in scores:
        if len(benchmark.subsets) > 1 and score.percent is not None:
            drawn = None if chance(score) else score.percent
            own[score.subset] = (score.title, drawn, 20 if score.kind == "open" else 1)
        for name, value in score.by.get(GROUP_SHOWN.get(benchmark.name, ""), {}).items():
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
