"""`assistant model`: what a checkpoint is, and whether it computes what it should."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from assistant.errors import UserError
from engines.memory import free_bytes, options, size_of

if TYPE_CHECKING:
    from engines.checkpoints import Checkpoint

WEIGHTS = (".onnx", ".safetensors")

CONVERT_EXAMPLES = """Examples:

  assistant model convert --hub --out models/diffa

  assistant model convert --hub --llada downloads/LLaDA-8B-Instruct --out models/diffa

  assistant model convert --whisper whisper-small --diffa DIFFA --llada LLaDA --out models/diffa"""

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


@app.command(epilog=CONVERT_EXAMPLES)
def convert(
    out: Annotated[Path, typer.Option(help="The folder to make.")],
    whisper: Annotated[str | None, typer.Option(help="Whisper's folder, as published.")] = None,
    diffa: Annotated[
        str | None, typer.Option(help="DIFFA's folder: config.json, pytorch_model.bin.")
    ] = None,
    llada: Annotated[
        str | None, typer.Option(help="LLaDA's folder, with its tokenizer.json.")
    ] = None,
    hub: Annotated[
        bool,
        typer.Option("--hub", help="Download what is no folder: OWNER/NAME, or the published one."),
    ] = False,
    fp16: Annotated[
        bool, typer.Option("--fp16", help="Encoder in half precision, for CUDA.")
    ] = False,
) -> None:
    """Make one checkpoint of the three published ones."""
    try:
        from engines.convert import convert as run
    except ImportError as error:
        raise UserError(
            f"converting needs torch and onnx: install assistant[train] ({error})"
        ) from error
    from engines import hub as published
    from engines.checkpoints import CheckpointError

    if not hub and not (whisper and diffa and llada):
        raise UserError("name --whisper, --diffa and --llada, or download them with --hub")
    if out.exists():  # before anything is downloaded for nothing
        raise UserError(f"{out}: is there already; name a new folder")
    sources = {
        "whisper": (published.WHISPER, whisper),
        "diffa": (published.DIFFA, diffa),
        "llada": (published.LLADA, llada),
    }
    console = Console(stderr=True)
    try:
        folders = {
            name: published.fetch(*source) if hub else Path(str(source[1]))
            for name, source in sources.items()
        }
        with console.status("") as status:
            run(
                whisper=folders["whisper"],
                diffa=folders["diffa"],
                llada=folders["llada"],
                out=out,
                half=fp16,
                progress=status.update,
            )
    except CheckpointError as error:
        raise UserError(str(error)) from error
    info(out)


@app.command(epilog="Example: assistant model narrow models/mine")
def narrow(folder: FolderArgument) -> None:
    """Store lm.onnx in eight bits that leave each answer as it would be outside its batch."""
    from engines.checkpoints import Checkpoint, CheckpointError

    try:
        from engines.narrow import narrow as reduced
    except ImportError as error:
        raise UserError(f"this needs {error.name}: pip install 'assistant[train]'") from error
    try:
        graph = Checkpoint.open(folder).lm_graph
        part = graph.with_name(f".{graph.name}.part")
        reduced(graph, part)
        before, after = (size_of(each.stat().st_size) for each in (graph, part))
        part.replace(graph)
    except CheckpointError as error:
        raise UserError(str(error)) from error
    typer.echo(f"{graph}: {after}, was {before}")


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
        "files": ", ".join(f"{each.name} {size_of(each.stat().st_size)}" for each in sorted(files)),
        "memory": _memory(checkpoint),
    }
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in rows.items():
        table.add_row(key, escape(value))
    Console().print(table)


def _memory(checkpoint: "Checkpoint") -> str:
    """Say what the model needs on a CPU and on a GPU, in each precision, and what is free here."""
    free = free_bytes("cpu")
    here = f"; {size_of(free)} is free here" if free is not None else ""
    encoder = checkpoint.encoder.stat().st_size
    parts = []
    if checkpoint.lm_graph.is_file():
        graph = checkpoint.lm_graph.stat().st_size
        parts.append(f"about {size_of(encoder + graph)} for the graphs")
    if checkpoint.lm_weights:
        for device in ("cpu", "cuda"):
            sizes = options(checkpoint.manifest.lm, device)
            each = ", ".join(f"{size_of(encoder + size)} in {name}" for name, size in sizes.items())
            parts.append(f"on {device} about {each}")
    return "; ".join(parts) + here
