"""`assistant train`: nano's recipe, one resumable command for each stage."""

import itertools
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from assistant.cli.bars import counting_bar
from assistant.cli.mending import need_torch, told
from assistant.errors import UserError

app = typer.Typer(
    help="Train nano: speech, label, encoder, splice, lm, align, instruct, ship; resume each.",
    no_args_is_help=True,
)

NANO = Path(__file__).parents[2] / "engines" / "nano"
TEMPLATE_SENTENCES = 20_000

DataOption = Annotated[Path, typer.Option("--data", help="Folder with text/ and speech/.")]
RunArgument = Annotated[Path, typer.Argument(help="The run's folder, made by `train speech`.")]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="Numbers of the stage (TOML), in place of the recipe's."),
]
HoursOption = Annotated[
    float | None, typer.Option("--hours", min=0, help="Stop after so long; run again to go on.")
]
StepsOption = Annotated[
    int | None, typer.Option("--steps", min=1, help="Steps of the whole stage, decay included.")
]
ThreadsOption = Annotated[int, typer.Option("--threads", min=1, help="CPU threads of the model.")]
DeviceOption = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option("--device", help="Where the model computes.")
]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Processes that make batches; with a GPU all cores."),
]
UnfreezeOption = Annotated[
    bool, typer.Option("--unfreeze", help="Train through, not the adapters alone.")
]


@app.command(epilog="Example: assistant train speech --data data --out runs/nano --sentences 72000")
def speech(
    data: DataOption,
    out: Annotated[Path, typer.Option("--out", help="The run's folder.")],
    sentences: Annotated[
        int | None, typer.Option("--sentences", min=1, help="How many are spoken.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes that speak.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Another one, another corpus.")] = None,
    config: ConfigOption = None,
) -> None:
    """Speak sentences in many voices, copy human recordings, keep some of both for measuring."""
    from dataclasses import replace

    from assistant.intents import Intents
    from assistant.settings import load

    with told(out):
        from engines.training import configs
        from engines.training.preparation import SpeechStage, prepare

        path = configs.path_of("speech", out, config)
        stage = configs.read(SpeechStage, path)
        stage = replace(
            stage,
            sentences=sentences or stage.sentences,
            workers=workers or stage.workers,
            seed=stage.seed if seed is None else seed,
        )
        configs.keep(path, "speech", out)
        intents = Intents.load(load())
        drawn = itertools.islice(intents.sentences(stage.seed), TEMPLATE_SENTENCES)
        _show_steps(prepare(data, out, stage, (each._asdict() for each in drawn)))


@app.command(epilog="Example: assistant train adopt engines/nano runs/mine")
def adopt(
    model: Annotated[Path, typer.Argument(help="Checkpoint folder that `train ship` made.")],
    run: Annotated[Path, typer.Argument(help="The run's folder.")],
) -> None:
    """Begin a run with the weights of a shipped model, to teach it more."""
    need_torch("onnx", "onnxscript")
    with told(run):
        from engines.training.adopting import adopt as take_over
        from engines.training.recipe import fresh, fresh_speller

        for stage in ("encoder", "lm", "align"):
            if (run / f"{stage}.pt").exists():
                raise UserError(f"{run / stage}.pt is there already: give another folder")
        take_over(model, run, fresh(run), *fresh_speller(run))
    typer.echo(f"{run}: begins with {model}; go on with: assistant train speech --out {run}")


@app.command(epilog="Example: assistant train encoder runs/nano --hours 2")
def encoder(
    run: RunArgument,
    config: ConfigOption = None,
    hours: HoursOption = None,
    steps: StepsOption = None,
    threads: ThreadsOption = 2,
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
    whisper: Annotated[
        str | None,
        typer.Option(
            "--whisper",
            help="Whisper it begins with, a folder or repository [default: openai/whisper-base].",
        ),
    ] = None,
) -> None:
    """Teach the speech encoder to spell with CTC."""
    _train("encoder", **locals())


@app.command(epilog="Example: assistant train label runs/nano --data data")
def label(
    run: RunArgument,
    data: DataOption,
    by: Annotated[
        str,
        typer.Option(
            "--by", help="Who writes them down: pocketsphinx, faster-whisper or vosk, if installed."
        ),
    ] = "pocketsphinx",
) -> None:
    """Let a recogniser write down recordings that have no words, and keep what it is sure of."""
    need_torch()
    with told(run):
        from engines.evaluation.peers import open_peer
        from engines.training.labelling import label as listen

        _show_steps(listen(data / "speech" / "manifest.jsonl", run, open_peer(by).words))
    typer.echo(f"{run}: now go on with: assistant train encoder {run}")


@app.command(epilog="Example: assistant train splice runs/nano")
def splice(
    run: RunArgument,
    clips: Annotated[int, typer.Option("--clips", min=1, help="How many are made.")] = 16_000,
    seed: Annotated[int, typer.Option("--seed", help="Another one, other clips.")] = 0,
) -> None:
    """Cut people's sentences between words and join them anew, for the encoder to go on with."""
    need_torch()
    with told(run):
        from engines.training.splicing import splice as cut_and_join

        _show_steps(cut_and_join(run, clips=clips, seed=seed))
    typer.echo(f"{run}: now go on with: assistant train encoder {run}")


@app.command(epilog="Example: assistant train blend runs/nano runs/longer --share 0.6")
def blend(
    run: RunArgument,
    other: Annotated[Path, typer.Argument(help="A run whose encoder began as this one's.")],
    share: Annotated[
        float, typer.Option("--share", min=0, max=1, help="What the other's weights count.")
    ] = 0.5,
) -> None:
    """Take the mean of two encoders; give it again to try another share."""
    need_torch()
    with told(run):
        from engines.training.blending import blend as mean

        mean(run, other, share)
    typer.echo(
        f"{run}: the encoder is {share:.0%} {other}; go on with: assistant train align {run}"
    )


@app.command(epilog="Example: assistant train lm runs/nano --threads 1")
def lm(
    run: RunArgument,
    config: ConfigOption = None,
    hours: HoursOption = None,
    steps: StepsOption = None,
    threads: ThreadsOption = 2,
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
) -> None:
    """Teach the language model to read, copy and answer, from text alone."""
    _train("lm", **locals())


@app.command(epilog="Example: assistant train align runs/nano")
def align(
    run: RunArgument,
    config: ConfigOption = None,
    hours: HoursOption = None,
    steps: StepsOption = None,
    threads: ThreadsOption = 2,
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
    unfreeze: UnfreezeOption = False,
) -> None:
    """Teach the semantic adapter, by transcribing; encoder and language model are frozen."""
    _train("align", **locals())


@app.command(epilog="Example: assistant train instruct runs/nano --unfreeze")
def instruct(
    run: RunArgument,
    config: ConfigOption = None,
    hours: HoursOption = None,
    steps: StepsOption = None,
    threads: ThreadsOption = 2,
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
    unfreeze: UnfreezeOption = False,
) -> None:
    """Teach both adapters to follow instructions: transcribe, answer, say who speaks."""
    _train("instruct", **locals())


@app.command(epilog="Example: assistant train ship runs/nano --out engines/nano --int8")
def ship(
    run: RunArgument,
    out: Annotated[Path, typer.Option("--out", help="Checkpoint folder to write.")] = NANO,
    int8: Annotated[bool, typer.Option("--int8/--fp32", help="Precision of the weights.")] = False,
) -> None:
    """Pack the last stage into a checkpoint folder that the assistant runs."""
    need_torch("onnx", "onnxscript")
    with told(out):
        from engines.evaluation.card import record_training
        from engines.training.counting import count_run
        from engines.training.families import load as load_requests
        from engines.training.preparation import TOKENIZER
        from engines.training.recipe import assemble
        from engines.training.runs import facts
        from engines.training.shipping import ship as pack
        from engines.training.stocking import stock

        model, stage = assemble(run)
        words, questions = count_run(run), stock(load_requests())
        pack(model, run / TOKENIZER, words, questions, out, name="nano", int8=int8)
        record_training(out, {**facts(run, model), "precision": "int8" if int8 else "fp32"})
    typer.echo(f"{out}: nano as `{stage}` left it; now measure it with: assistant evaluate")


@app.command(epilog="Example: assistant train pairs --data data --out pairs.jsonl")
def pairs(
    data: DataOption,
    out: Annotated[Path, typer.Option("--out", help="The file to write (JSON lines).")],
    url: Annotated[
        str | None, typer.Option("--url", help="OpenAI-compatible server that writes the targets.")
    ] = None,
    model: Annotated[str, typer.Option("--model", help="The server's model.")] = "default",
) -> None:
    """Write audio-instruction pairs in DIFFA's published schema, by rules or by asking a model."""
    with told(out):
        from engines.training.described import describe
        from engines.training.instructions import LanguageModel, write_pairs

        key = os.environ.get("OPENAI_API_KEY", "")
        answerer = LanguageModel(url, model, key) if url else None
        counts: Counter[str] = Counter()
        with counting_bar(stderr=True) as bar:
            task = bar.add_task("pairs", total=None)
            described = describe(data, counts)
            count = write_pairs(out, described, answerer, counts, lambda: bar.advance(task))
    left_out = ", ".join(f"{each} {name}" for name, each in counts.items() if each)
    typer.echo(f"{out}: {count} pairs" + (f"; left out: {left_out}" if left_out else ""))


@app.command(epilog="Example: assistant train plot runs/nano --out docs/nano-training.svg")
def plot(
    run: RunArgument,
    out: Annotated[Path, typer.Option("--out", help="The picture (SVG).")],
) -> None:
    """Draw the learning curves of a run."""
    with told(out):
        from engines.training.curves import draw

        out.write_text(draw(run), encoding="utf-8")


def _train(stage: Any, run: Path, **options: Any) -> None:
    need_torch()
    with told(run):
        from engines.training.recipe import Options, train

        for note in train(stage, run, Options(**options)):
            typer.echo(f"assistant: {note}", err=True)


def _show_steps(steps: Iterator[Any]) -> None:
    with counting_bar() as bar:
        tasks: dict[str, Any] = {}
        for step in steps:
            counts = ", ".join(f"{count} {name}" for name, count in step.counts.items() if count)
            label = f"{step.part} ({counts})" if counts else step.part
            if step.part not in tasks:
                tasks[step.part] = bar.add_task(label, total=step.total)
            bar.update(tasks[step.part], completed=step.done, description=label)
