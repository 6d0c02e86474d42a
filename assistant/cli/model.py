"""`assistant model`: what a checkpoint is, and whether it computes what it should."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from assistant.errors import UserError

if TYPE_CHECKING:
    from engines.checkpoints import Checkpoint

WEIGHTS = (".onnx", ".safetensors")
GB = 1_000_000_000

app = typer.Typer(help="Checkpoints.", no_args_is_help=True)

FolderArgument = Annotated[Path, typer.Argument(help="A folder.")]


@app.command()
def verify(
    folder: FolderArgument,
    llada: Annotated[
        Path | None,
        typer.Option(help="A DIFFA folder’s language model; else llada-NAME beside diffa-NAME."),
    ] = None,
) -> None:
    """Run golden vectors of the reference code; exit with 1 if any does not match."""
    try:
        import torch

        from engines.evaluation.verify import verify as run
    except ImportError as error:
        raise UserError(f"verifying needs torch: install assistant[torch] ({error})") from error
    from engines.checkpoints import CheckpointError

    torch.set_num_threads(1)  # matrices this small only wait for a second thread
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


@app.command()
def convert(
    whisper: Annotated[Path, typer.Option(help="Whisper's folder, as published.")],
    diffa: Annotated[Path, typer.Option(help="DIFFA's folder: config.json, pytorch_model.bin.")],
    llada: Annotated[Path, typer.Option(help="LLaDA's folder, with its tokenizer.json.")],
    out: Annotated[Path, typer.Option(help="The folder to make.")],
) -> None:
    """Make one checkpoint of the three published ones."""
    try:
        from engines.convert import convert as run
    except ImportError as error:
        raise UserError(
            f"converting needs torch and onnx: install assistant[train] ({error})"
        ) from error
    from engines.checkpoints import CheckpointError

    try:
        run(whisper=whisper, diffa=diffa, llada=llada, out=out)
    except CheckpointError as error:
        raise UserError(str(error)) from error
    info(out)


@app.command()
def info(folder: FolderArgument) -> None:
    """Show what a checkpoint is, its licence, and what it needs."""
    from engines.checkpoints import Checkpoint, CheckpointError

    try:
        checkpoint = Checkpoint.open(folder)
    except CheckpointError as error:
        raise UserError(str(error)) from error
    manifest, lm = checkpoint.manifest, checkpoint.manifest.lm
    files = [each for each in folder.iterdir() if each.suffix in WEIGHTS]
    rows = {
        "name": manifest.name,
        "licence": manifest.licence,
        "language model": f"{lm.parameters:,} parameters, {manifest.attention}",
        "shape": f"{lm.n_layers} layers of {lm.d_model}, {lm.embedding_size:,} tokens, "
        f"{lm.max_sequence_length:,} positions",
        "prompts": ", ".join(manifest.prompts),
        "audio": f"up to {manifest.audio.longest_s:g} s, {manifest.audio.mels} mel bands",
        "files": ", ".join(f"{each.name} {_size(each.stat().st_size)}" for each in sorted(files)),
        "memory": f"about {_size(_memory(checkpoint))} for the weights",
    }
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in rows.items():
        table.add_row(key, escape(value))
    Console().print(table)


def _memory(checkpoint: "Checkpoint") -> int:
    """Bytes of the encoder and of the one form of the language model that is loaded."""
    graph = checkpoint.lm_graph
    lm = [graph] if graph.is_file() else checkpoint.lm_weights
    return sum(each.stat().st_size for each in [checkpoint.encoder, *lm])


def _size(count: int) -> str:
    """Render a number of bytes."""
    return f"{count / GB:.1f} GB" if count >= GB else f"{count / GB * 1000:.1f} MB"
