"""Learning curves of a run as one picture, a panel for each stage."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

STAGES = {
    "encoder": "ctc",
    "lm": "loss",
    "align": "diffusion",
    "instruct": "diffusion",
    "diffa-align": "loss",
    "diffa-instruct": "loss",
}
"""What is drawn of each stage's log."""
_WIDTH, _HEIGHT, _MARGIN = 360, 220, 44
_SMOOTHING = 0.9
_STYLE = (
    "text{font:12px sans-serif;fill:#444}.t{font-weight:bold}.g{stroke:#ddd}"
    ".raw{fill:none;stroke:#9bc1e6}.mean{fill:none;stroke:#1a5fa8;stroke-width:2}"
)

Curve = Sequence[tuple[int, float]]


class CurveError(ValueError):
    """A run without logs; the message names it and the remedy."""


def read_curve(path: Path, name: str) -> list[tuple[int, float]]:
    """(step, value) of a log; of a step that was run twice, the last; torn lines are left out."""
    points: dict[int, float] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
            points[int(row["step"])] = float(row[name])
        except (ValueError, LookupError, TypeError):
            continue
    return sorted(points.items())


def draw(run: Path) -> str:
    """An SVG picture of the run's logs; raises `CurveError` when it has none."""
    logs = {stage: run / f"{stage}.jsonl" for stage in STAGES}
    curves = {s: read_curve(log, STAGES[s]) for s, log in logs.items() if log.is_file()}
    curves = {stage: curve for stage, curve in curves.items() if curve}
    if not curves:
        raise CurveError(f"{run} holds no logs; train a stage first: assistant train encoder {run}")
    panels = [_panel(n, f"{s}: {STAGES[s]}", c) for n, (s, c) in enumerate(curves.items())]
    size = f'width="{_WIDTH * len(panels)}" height="{_HEIGHT}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', f"<style>{_STYLE}</style>"]
    return "\n".join([*parts, *panels, "</svg>\n"])


def _panel(number: int, title: str, curve: Curve) -> str:
    last, top = max(curve[-1][0], 1), max(value for _, value in curve) or 1.0
    wide, high = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN

    def place(step: float, value: float) -> str:
        x, y = _MARGIN + wide * step / last, _HEIGHT - _MARGIN - high * value / top
        return f"{x:.1f},{y:.1f}"

    marks = []
    for share in (0, 0.5, 1):
        y = _HEIGHT - _MARGIN - high * share
        marks.append(f'<path class="g" d="M{_MARGIN},{y} h{wide}"/>')
        marks.append(
            f'<text x="{_MARGIN - 6}" y="{y + 4}" text-anchor="end">{top * share:.3g}</text>'
        )
    marks.append(f'<text class="t" x="{_MARGIN}" y="{_MARGIN - 16}">{escape(title)}</text>')
    marks.append(
        f'<text x="{_WIDTH - _MARGIN}" y="{_HEIGHT - 18}" text-anchor="end">step {last}</text>'
    )
    for kind, points in (("raw", curve), ("mean", _smooth(curve))):
        line = " ".join(place(step, value) for step, value in points)
        marks.append(f'<polyline class="{kind}" points="{line}"/>')
    return f'<g transform="translate({number * _WIDTH},0)">{"".join(marks)}</g>'


def _smooth(curve: Curve) -> list[tuple[int, float]]:
    mean, result = curve[0][1], []
    for step, value in curve:
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * value
        result.append((step, mean))
    return result
