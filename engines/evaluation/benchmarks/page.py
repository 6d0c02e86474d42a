"""A report as one HTML page that needs nothing but itself and the recordings beside it."""

from collections.abc import Iterator
from html import escape

from engines.evaluation.benchmarks.radar import Series, radar
from engines.evaluation.benchmarks.report import BadItem, Report
from engines.evaluation.benchmarks.style import STYLE
from engines.evaluation.benchmarks.tables import Bar, Table


def render(report: Report) -> str:
    """The whole page."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    title = escape(f"{report.title}: {report.headline}")
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title><style>{STYLE}</style></head><body><main>"
    over = " · ".join(filter(None, (report.title, dict(report.facts).get("model"))))
    yield f"<header><p>{escape(over)}</p><h1>{escape(report.headline)}</h1></header>"
    yield '<section class="wide">'
    yield from _table(report.scores, strong=2)
    yield "</section>"
    if report.series:
        yield f"<figure>{radar(report.axes, report.series)}{_legend(report.series)}</figure>"
    if report.speed is not None:
        yield from _tiles(report.speed)
    yield from _facts(report)
    if report.details:
        yield "<section><h2>In detail</h2>"
        for table in report.details:
            yield from _table(table)
        yield "</section>"
    if report.failures:
        yield f"<section><h2>Not answered</h2>{_list(report.failures)}</section>"
    if report.worst:
        yield '<section><h2>Worst items</h2><div class="items">'
        yield from map(_item, report.worst)
        yield "</div></section>"
    yield f"<section><h2>Sources</h2>{_list(report.sources)}</section>"
    yield f"<section><h2>Command</h2><pre>{escape(report.command)}</pre></section>"
    yield "</main></body></html>"


def _facts(report: Report) -> Iterator[str]:
    yield "<section><h2>How it was run</h2><dl>"
    for name, value in report.facts:
        yield f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
    yield "</dl></section>"


def _tiles(table: Table) -> Iterator[str]:
    """A table of one figure a row."""
    yield f'<section><h2>{escape(table.title)}</h2><dl class="tiles">'
    for name, value in table.rows:
        yield f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
    yield f"</dl>{_list(table.notes, 'notes')}</section>"


def _table(table: Table, *, strong: int | None = None) -> Iterator[str]:
    """A table; `strong` is the column of this run."""
    title = escape(table.title)
    yield f"<details><summary>{title}</summary>" if table.folded else f"<h2>{title}</h2>"
    yield '<div class="scroll"><table><thead><tr>'
    yield "".join(f'<th scope="col">{escape(name)}</th>' for name in table.head)
    yield "</tr></thead><tbody>"
    bars = table.bars or (None,) * len(table.rows)
    for row, bar in zip(table.rows, bars, strict=True):
        cells = [f'<th scope="row">{escape(row[0])}</th>']
        cells += [
            _own(cell, bar) if place == strong else _cell(cell)
            for place, cell in enumerate(row[1:], 1)
        ]
        kind = ' class="member"' if row[0].startswith("·") else ""
        total = ' class="total"' if row[0] == "Overall" else kind
        yield f"<tr{total}>{''.join(cells)}</tr>"
    yield "</tbody></table></div>"
    if table.notes:
        yield _list(table.notes, "notes")
    if table.folded:
        yield "</details>"


def _own(text: str, bar: Bar | None) -> str:
    """The figure of this run, with its bar."""
    if bar is None:
        return _cell(text, "own")
    kind = "own bar chance" if bar.chance else "own bar"
    share = min(100.0, max(0.0, bar.percent))
    return _cell(text, kind, f' style="--percent:{share:.1f}%"')


def _cell(text: str, kind: str = "", more: str = "") -> str:
    kinds = " ".join(filter(None, (kind, "none" if text in {"–", "not scored"} else "")))
    named = f' class="{kinds}"' if kinds else ""
    return f"<td{named}{more}>{escape(text)}</td>"


def _list(texts: tuple[str, ...], kind: str = "") -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f'<ul class="{kind}">{items}</ul>'


def _legend(series: tuple[Series, ...]) -> str:
    entries = "".join(
        f'<li><span class="swatch s{number}"></span>{escape(each.name)}</li>'
        for number, each in enumerate(series)
    )
    told = "Percent; judged marks × 20."
    if None in series[0].values:
        told += " What is mostly chance is not drawn."
    return f'<figcaption><ul class="legend">{entries}</ul>{told}</figcaption>'


def _item(item: BadItem) -> str:
    sound = '<p class="quiet">no recording</p>'
    if item.audio:
        sound = f'<audio controls preload="none" src="{escape(item.audio)}"></audio>'
    texts = "".join(
        f"<dt>{name}</dt><dd>{escape(text)}</dd>"
        for name, text in (
            ("asked", item.asked),
            ("wanted", item.wanted),
            ("answered", item.answered or "(nothing)"),
        )
        if text
    )
    head = f"<h3>{escape(item.title)} <small>{escape(item.key)}</small></h3>"
    score = f'<p class="score">{escape(item.score)}</p>'
    return f"<article>{head}{score}{sound}<dl>{texts}</dl></article>"
