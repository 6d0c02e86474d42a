"""A report as one HTML page that needs nothing but itself and the recordings beside it."""

from collections.abc import Iterator
from html import escape

from engines.evaluation.benchmarks.radar import Series, radar
from engines.evaluation.benchmarks.report import BadItem, Report, Table

STYLE = """
:root{color-scheme:light dark;--ground:#fbfaf7;--panel:#fff;--text:#22252b;--quiet:#6a6f78;
--line:#e3e0d8;--series-0:#c2410c;--series-1:#1d6fb8;--series-2:#4d7c0f;--series-3:#7a4fb0}
@media(prefers-color-scheme:dark){:root{--ground:#16181c;--panel:#1e2127;--text:#e6e4df;
--quiet:#9aa0aa;--line:#343943;--series-0:#fb923c;--series-1:#60a5fa;--series-2:#a3d65c;
--series-3:#c4a1f5}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--text);font:16px/1.55 system-ui,sans-serif}
main{max-width:72rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
header p{margin:0;color:var(--quiet);letter-spacing:.02em}
h1{margin:0 0 1rem;font-size:2.2rem;line-height:1.15;letter-spacing:-.02em}
h2{font-size:1.15rem;margin:2.2rem 0 .6rem}h3{font-size:1rem;margin:0}
small,.quiet{color:var(--quiet);font-weight:400}
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:8px;background:var(--panel)}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.45rem .8rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child{text-align:left}thead th{color:var(--quiet);font-weight:500;font-size:.85rem;
white-space:normal;vertical-align:bottom;min-width:5.5rem}
tbody th{font-weight:500}tbody tr:last-child>*{border-bottom:0}
.member th{font-weight:400;color:var(--quiet);padding-left:1.6rem}
.total>*{border-top:2px solid var(--line);font-weight:600}
.own{font-weight:650;color:var(--series-0)}.none{color:var(--quiet);font-weight:400}
.notes{color:var(--quiet);font-size:.9rem;padding-left:1.1rem;margin:.6rem 0}
details{margin:.5rem 0}summary{cursor:pointer;padding:.3rem 0}details .scroll{max-width:40rem}
section:not(.wide) .scroll{max-width:40rem}
figure{margin:2rem 0;text-align:center}.radar{width:100%;max-width:44rem;height:auto}
.grid{fill:none;stroke:var(--line)}.axis{fill:var(--text);font-size:13px}
.ring{fill:var(--quiet);font-size:10px}
.series polygon{fill:none;stroke-width:2;stroke-linejoin:round}
.s0 polygon{fill:color-mix(in srgb,var(--series-0) 16%,transparent);stroke-width:2.5}
.s0{--own:var(--series-0)}.s1{--own:var(--series-1)}.s2{--own:var(--series-2)}
.s3{--own:var(--series-3)}.series polygon{stroke:var(--own)}.series circle{fill:var(--own)}
figcaption{color:var(--quiet);font-size:.9rem}
.legend{list-style:none;display:flex;flex-wrap:wrap;justify-content:center;gap:.3rem 1.4rem;
margin:0 0 .3rem;padding:0;color:var(--text)}
.swatch{display:inline-block;width:.9rem;height:.9rem;border-radius:3px;background:var(--own);
margin-right:.45rem;vertical-align:-.1rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;margin:0}
dt{color:var(--quiet)}dd{margin:0;white-space:pre-wrap;overflow-wrap:anywhere}
.items{display:grid;gap:1rem;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr))}
article{border:1px solid var(--line);border-radius:8px;background:var(--panel);padding:1rem}
article dl{font-size:.92rem;max-height:16rem;overflow-y:auto}
.score{margin:.1rem 0 .5rem;color:var(--series-0)}
audio{width:100%;height:2.2rem;margin-bottom:.6rem}
pre{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:.9rem 1rem;
white-space:pre-wrap;overflow-wrap:anywhere}
"""


def render(report: Report) -> str:
    """The whole page."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    title = escape(f"{report.title}: {report.headline}")
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title><style>{STYLE}</style></head><body><main>"
    yield f"<header><p>{escape(report.title)}</p><h1>{escape(report.headline)}</h1></header>"
    yield '<section class="wide">'
    yield from _table(report.scores, strong=2)
    yield "</section>"
    if report.series:
        yield f"<figure>{radar(report.axes, report.series)}{_legend(report.series)}</figure>"
    if report.speed is not None:
        yield "<section>"
        yield from _table(report.speed)
        yield "</section>"
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


def _table(table: Table, *, strong: int | None = None) -> Iterator[str]:
    """A table; `strong` is the column of this run."""
    title = escape(table.title)
    yield f"<details><summary>{title}</summary>" if table.folded else f"<h2>{title}</h2>"
    yield '<div class="scroll"><table><thead><tr>'
    yield "".join(f'<th scope="col">{escape(name)}</th>' for name in table.head)
    yield "</tr></thead><tbody>"
    for row in table.rows:
        cells = [f'<th scope="row">{escape(row[0])}</th>']
        cells += [_cell(cell, strong=place == strong) for place, cell in enumerate(row[1:], 1)]
        kind = ' class="member"' if row[0].startswith("·") else ""
        total = ' class="total"' if row[0] == "Overall" else kind
        yield f"<tr{total}>{''.join(cells)}</tr>"
    yield "</tbody></table></div>"
    if table.notes:
        yield _list(table.notes, "notes")
    if table.folded:
        yield "</details>"


def _cell(text: str, *, strong: bool) -> str:
    kinds = [*(["own"] if strong else []), *(["none"] if text in {"–", "not scored"} else [])]
    kind = f' class="{" ".join(kinds)}"' if kinds else ""
    return f"<td{kind}>{escape(text)}</td>"


def _list(texts: tuple[str, ...], kind: str = "") -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f'<ul class="{kind}">{items}</ul>'


def _legend(series: tuple[Series, ...]) -> str:
    entries = "".join(
        f'<li><span class="swatch s{number}"></span>{escape(each.name)}</li>'
        for number, each in enumerate(series)
    )
    return f'<figcaption><ul class="legend">{entries}</ul>Percent; judged marks × 20.</figcaption>'


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
