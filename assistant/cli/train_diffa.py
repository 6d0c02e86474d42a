"""`assistant train diffa`: DIFFA's two stages on the published shapes."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from assistant.cli.mending import need_torch, told
from assistant.cli.train import ConfigOption, HoursOption, StepsOption
from assistant.errors import UserError

app = typer.Typer(
    help="Train DIFFA's adapters between a published Whisper and LLaDA: align, then instruct.",
    no_args_is_help=True,
)

RunArgument = Annotated[Path, typer.Argument(help="The run's folder; made where there is none.")]
WhisperOption = Annotated[Path, typer.Option("--whisper", help="Whisper's folder, as published.")]
LladaOption = Annotated[
    Path, typer.Option("--llada", help="LLaDA's folder, with its tokenizer.json.")
]
PairsOption = Annotated[
    Path, typer.Option("--pairs", help="Audio-instruction pairs; see `assistant train pairs`.")
]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, help="CPU threads of the model.")
]
DeviceOption = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option("--device", help="Where the model computes.")
]
ShardOption = Annotated[
    bool, typer.Option("--shard", help="Share LLaDA out among the processes of torchrun.")
]

SEVERAL = "torchrun --nproc-per-node 4 -m assistant train diffa"
FILES = "--whisper whisper-small --llada LLaDA-8B-Instruct --pairs pairs.jsonl"


@app.command(
    epilog=f"Examples: assistant train diffa align runs/diffa {FILES}; on four GPUs: "
    f"{SEVERAL} align runs/diffa {FILES}"
)
def align(
    run: RunArgument,
    whisper: WhisperOption,
    llada: LladaOption,
    pairs: PairsOption,
    diffa: Annotated[
        Path | None, typer.Option("--diffa", help="Adapters to begin with; else new ones.")
    ] = None,
    config: ConfigOption = None,
    hours: HoursOption = None,
    steps: StepsOption = None,
    threads: ThreadsOption = None,
    device: DeviceOption = "auto",
    shard: ShardOption = False,
) -> None:
    """Teach the semantic adapter, by transcribing; Whisper and LLaDA are frozen."""
    _train(
        "align",
        run,
        (whisper, llada, pairs, diffa),
        config=config,
        hours=hours,
        steps=steps,
        threads=threads,
        device=device,
        shard=shard,
    )


@app.command(
    epilog=f"Examples: assistant train diffa instruct runs/diffa {FILES}; on four GPUs: "
    f"{SEVERAL} instruct runs/diffa {FILES}"
)
def instruct(
    run: RunArgument,
    whisper: WhisperOption,
    llada: LladaOption,
    pairs: PairsOption,
    diffa: Annotated[
        Path | None,
        typer.Option("--diffa", help="Adapters to begin with; else what `align` left in the run."),
    ] = None,
    config: ConfigOption = None,
    hours: HoursOption = None,
    steps: StepsOption = None,
    threads: ThreadsOption = None,
    device: DeviceOption = "auto",
    shard: ShardOption = False,
) -> None:
    """Teach both adapters to follow instructions; Whisper and LLaDA are frozen."""
    _train(
        "instruct",
        run,
        (whisper, llada, pairs, diffa),
        config=config,
        hours=hours,
        steps=steps,
        threads=threads,
        device=device,
        shard=shard,
    )


def _train(
    stage: Literal["align", "instruct"],
    run: Path,
    sources: tuple[Path, Path, Path, Path | None],
    **options: Any,
) -> None:
    need_torch("safetensors")
    from engines.checkpoints import CheckpointError
    from engines.training.diffa.recipe import Options, Sources, train

    with told(run):
        try:
            notes = train(stage, run, Sources(*sources), Options(**options))
        except CheckpointError as error:
            raise UserError(str(error)) from error
    for note in notes:
        typer.echo(f"assistant: {note}", err=True)
