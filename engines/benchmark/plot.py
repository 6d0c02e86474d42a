"""Tokens a second against passes, as a picture."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 360, 64, 24, 44, 48
_COLOURS = ("#1a5fa8", "#c2571a", "#2f8f4e", "#8a4fa8")
_STYLE = "text{font:12px sans-serif;fill:#444}.t{font-weight:bold}.g{stroke:#ddd}"


def draw(report: Mapping[str, Any]) -> str:
    """Draw a report of `bench_decode` as SVG, both axes logarithmic, a colour for each batch."""
    rows = report["rows"]
    across = _Axis([row["passes"] for row in rows], _LEFT, _WIDTH - _RIGHT)
    up = _Axis([row["tokens_per_s"] for row in rows], _HEIGHT - _BOTTOM, _TOP)
    marks = [f'<text class="t" x="{_LEFT}" y="20">{escape(_title(report))}</text>']
    for value in across.ticks():
        x = across.place(value)
        marks.append(f'<path class="g" d="M{x:.1f},{_TOP} V{_HEIGHT - _BOTTOM}"/>')
        marks.append(_text(x, _HEIGHT - _BOTTOM + 18, f"{value:g}", "middle"))
    for value in up.ticks():
        y = up.place(value)
        marks.append(f'<path class="g" d="M{_LEFT},{y:.1f} H{_WIDTH - _RIGHT}"/>')
        marks.append(_text(_LEFT - 8, y + 4, f"{value:g}", "end"))
    marks.append(_text((_LEFT + _WIDTH) / 2, _HEIGHT - 10, "passes", "middle"))
    marks.append(_text(_LEFT, _TOP - 8, "tokens a second", "start"))
    batches = list(dict.fromkeys(row["batch"] for row in rows))
    for row in rows:
        x, y = across.place(row["passes"]), up.place(row["tokens_per_s"])
        colour = _COLOURS[batches.index(row["batch"]) % len(_COLOURS)]
        marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>')
        label = row["mode"] if len(batches) == 1 else f"{row['mode']}, batch {row['batch']}"
        right = x < _WIDTH / 2
        marks.append(_text(x + (10 if right else -10), y + 4, label, "start" if right else "end"))
    size = f'width="{_WIDTH}" height="{_HEIGHT}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    paper = '<rect width="100%" height="100%" fill="white"/>'
    return "\n".join([head, f"<style>{_STYLE}</style>", paper, *marks, "</svg>\n"])


def _title(report: Mapping[str, Any]) -> str:
    return f"{report['shape']} on {report['device']}, {report['dtype']}"


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


class _Axis:
    """A logarithmic axis from `start` to `end`, in pixels, that has room for all values."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self.start, self.end = start, end
        self.low, self.high = math.log10(min(values)) - 0.15, math.log10(max(values)) + 0.15

    def place(self, value: float) -> float:
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """1, 2, 5, 10 and so on, as far as they lie on the axis."""
        decades = range(math.floor(self.low), math.ceil(self.high) + 1)
        steps = [step * 10.0**decade for decade in decades for step in (1, 2, 5)]
        return [value for value in steps if self.low <= math.log10(value) <= self.high]
