"""A radar plot as SVG that takes its colours from the page around it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT, _RADIUS, _RINGS = 760, 480, 190, (25, 50, 75, 100)


@dataclass(frozen=True, slots=True)
class Series:
    """One system: a value in percent for each axis, None where there is none."""

    name: str
    values: tuple[float | None, ...]


def radar(axes: Sequence[str], series: Sequence[Series]) -> str:
    """Draw at least three axes; a system's points are joined over the axes that it has.

    The first series is drawn filled, on top; colours are the page's `--series-0` and so on.
    """
    marks = [_ring(len(axes), share) for share in _RINGS]
    marks += [_axis(place, len(axes), name) for place, name in enumerate(axes)]
    numbered = list(enumerate(series))
    marks += [_polygon(number, each) for number, each in reversed(numbered)]
    marks += [_label(len(axes), share) for share in _RINGS]
    title = f"Radar plot of {', '.join(each.name for each in series)}"
    return (
        f'<svg class="radar" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">{"".join(marks)}</svg>'
    )


def _point(place: int, count: int, percent: float) -> tuple[float, float]:
    angle = 2 * math.pi * place / count - math.pi / 2
    radius = _RADIUS * percent / 100
    centre_x, centre_y = _WIDTH / 2, _HEIGHT / 2
    return centre_x + radius * math.cos(angle), centre_y + radius * math.sin(angle)


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _ring(count: int, percent: int) -> str:
    points = _path([_point(place, count, percent) for place in range(count)])
    return f'<polygon class="grid" points="{points}"/>'


def _label(count: int, percent: int) -> str:
    """A ring's number, on top of what is drawn."""
    x, y = _point(0, count, percent)
    return f'<text class="ring" x="{x + 5:.1f}" y="{y + 11:.1f}">{percent}</text>'


def _axis(place: int, count: int, name: str) -> str:
    (inner_x, inner_y), (outer_x, outer_y) = (_point(place, count, p) for p in (0, 100))
    x, y = _point(place, count, 108)
    side = math.cos(2 * math.pi * place / count - math.pi / 2)
    anchor = "middle" if abs(side) < 0.2 else "start" if side > 0 else "end"
    return (
        f'<path class="grid" d="M{inner_x:.1f},{inner_y:.1f} L{outer_x:.1f},{outer_y:.1f}"/>'
        f'<text class="axis" x="{x:.1f}" y="{y + 4:.1f}" text-anchor="{anchor}">'
        f"{escape(name)}</text>"
    )


def _polygon(number: int, series: Series) -> str:
    count = len(series.values)
    points = [
        _point(place, count, min(100.0, max(0.0, value)))
        for place, value in enumerate(series.values)
        if value is not None
    ]
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points)
    line = f'<polygon points="{_path(points)}"/>' if len(points) > 2 else ""
    return f'<g class="series s{number}"><title>{escape(series.name)}</title>{line}{dots}</g>'
