"""A report as Markdown."""

from collections.abc import Iterator

from engines.evaluation.benchmarks.report import Report
from engines.evaluation.benchmarks.tables import Table


def render(report: Report) -> str:
    """The whole report."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"# {report.title}: {report.headline}"
    yield ""
    for name, value in report.facts:
        yield f"- **{name}:** {_inline(value)}"
    yield from _table(report.scores)
    if report.speed is not None:
        yield from _table(report.speed)
    for table in report.details:
        yield from _table(table, level=3)
    if report.failures:
        yield from ("", "## Not answered", "")
        yield from (f"- {_inline(each)}" for each in report.failures)
    if report.worst:
        yield from ("", "## Worst items", "")
    for item in report.worst:
        listen = f" [listen]({item.audio})" if item.audio else ""
        yield f"- **{item.title}** `{item.key}`, {item.score}{listen}"
        for name, text in (("asked", item.asked), ("wanted", item.wanted)):
            if text:
                yield f"  - {name}: {_inline(text)}"
        yield f"  - answered: {_inline(item.answered)}"
    yield from ("", "## Sources", "")
    yield from (f"- {source}" for source in report.sources)
    yield from ("", "## Command", "", "```sh", report.command, "```")


def _table(table: Table, *, level: int = 2) -> Iterator[str]:
    yield from ("", f"{'#' * level} {table.title}", "")
    yield f"| {' | '.join(table.head)} |"
    yield f"| --- |{' ---: |' * (len(table.head) - 1)}"
    for row in table.rows:
        yield f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"
    if table.notes:
        yield ""
        yield from (f"- {_inline(note)}" for note in table.notes)


def _inline(text: str) -> str:
    """One line that Markdown takes as it is."""
    plain = " ".join(text.split())
    return plain.translate({ord(sign): f"\\{sign}" for sign in "*_`<>[]#|"}) or "(nothing)"
