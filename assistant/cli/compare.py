"""`assistant evaluate compare`: two runs of one benchmark, item by item."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assistant.cli.mending import told

if TYPE_CHECKING:
    from engines.evaluation.comparison import Comparison

EPILOG = "Example: assistant evaluate compare runs/diffa runs/cascade"


def compare(
    first: Annotated[Path, typer.Argument(help="The --out folder of a run.")],
    second: Annotated[Path, typer.Argument(help="Another run's, of the same benchmark.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Differences of two runs on the same items, with 95 % intervals by the bootstrap."""
    with told(second):
        from engines.evaluation.comparison import compare as compared
        from engines.evaluation.comparison import read_run

        found = compared(read_run(first), read_run(second))
    if as_json:
        typer.echo(json.dumps(found.summary(), ensure_ascii=False))
        return
    _show(found)


def _show(found: "Comparison") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(found.benchmark, "items", "first", "second", "difference", "better : worse")
    table.columns[0].overflow = "fold"
    table.columns[4].no_wrap = True
    for row in [*found.subsets, *([found.overall] if found.overall else [])]:
        sure = "[bold]" if row.sure else ""
        table.add_row(
            row.title,
            str(row.n),
            f"{row.first:.2f}",
            f"{row.second:.2f}",
            f"{sure}{row.difference:+.2f} ({row.low:+.2f} to {row.high:+.2f})",
            f"{row.better} : {row.worse}",
        )
    console = Console()
    console.print(table)
    for note in found.notes:
        console.print(note)
    if found.changed:
        console.print("changed most:", ", ".join(found.changed))
