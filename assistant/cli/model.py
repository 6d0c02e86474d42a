"""`assistant model`: what a checkpoint is, and whether it computes what it should."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from assistant.errors import UserError

app = typer.Typer(help="Checkpoints.", no_args_is_help=True)

FolderArgument = Annotated[Path, typer.Argument(help="A folder.")]


@app.command()
def verify(
    folder: FolderArgument,
    llada: Annotated[
        Path | None,
        typer.Option(help="The language model of a DIFFA folder; else llada-tiny beside it."),
    ] = None,
) -> None:
    """Run golden vectors of the reference code; exit with 1 if any does not match."""
    try:
        from engines.evaluation.verify import verify as run
    except ImportError as error:
        raise UserError(f"verifying needs torch: install assistant[torch] ({error})") from error
    from engines.checkpoints import CheckpointError

    console, passed, failed = Console(soft_wrap=True), 0, 0
    try:
        for check in run(folder, llada):
            word = "[green]passed[/]" if check.passed else "[red]FAILED[/]"
            console.print(f"{word} {escape(check.name)}: {escape(check.detail)}", highlight=False)
            passed, failed = passed + check.passed, failed + (not check.passed)
    except CheckpointError as error:
        raise UserError(str(error)) from error
    console.print(f"{passed} passed, {failed} failed", highlight=False)
    if failed:
        raise typer.Exit(1)
