"""`assistant evaluate`: error rates, understood commands, and the model card made of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assistant.cli import benchmarks
from assistant.cli.listeners import answerer, peer, transcriber, understander
from assistant.cli.mending import told
from assistant.errors import UserError

if TYPE_CHECKING:
    from engines.evaluation.samples import Audio, Noise, Sample

app = typer.Typer(
    help="Measure a model, on benchmarks and on your own recordings, and write its card.",
    no_args_is_help=True,
)
benchmarks.register(app)

NANO = Path(__file__).parents[2] / "engines" / "nano"
PLUGINS = Path(__file__).parents[2] / "plugins"
_SHOWN_MEMBERS = 12

ManifestArgument = Annotated[
    Path, typer.Argument(help="JSON lines with file, text, speaker; or a corpus folder.")
]
ModelOption = Annotated[Path, typer.Option("--model", help="Checkpoint folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
NoiseOption = Annotated[Path | None, typer.Option("--noise", help="A recording to mix in.")]
SnrOption = Annotated[
    float | None,
    typer.Option("--snr", help="Speech over noise in dB (12 unless told).", min=-30, max=60),
]
LimitOption = Annotated[
    int | None, typer.Option("--limit", min=1, help="Only so many recordings, evenly spread.")
]
RecordOption = Annotated[
    str | None, typer.Option("--record", help="Keep the result for the card under this name.")
]
ThreadsOption = Annotated[int, typer.Option("--threads", min=1, help="CPU threads.")]


@app.command(
    epilog="Example: assistant evaluate asr clips/manifest.jsonl --noise cafe.wav --snr 12"
)
def asr(
    manifest: ManifestArgument,
    model: ModelOption = NANO,
    as_json: JsonOption = False,
    noise: NoiseOption = None,
    snr: SnrOption = None,
    limit: LimitOption = None,
    record: RecordOption = None,
    threads: ThreadsOption = 2,
    other: Annotated[
        str | None,
        typer.Option("--peer", help="Also by pocketsphinx, faster-whisper or vosk."),
    ] = None,
) -> None:
    """Word and character error rates, whole and by source, speaker and age."""
    with told(manifest):
        from engines.evaluation.asr import evaluate
        from engines.evaluation.samples import read_samples

        samples = read_samples(manifest, limit)
        added = _noise(noise, snr)
        rival = peer(other) if other else None
        result = _measure(evaluate, samples, transcriber(model, threads), added)
        _finish(result, "asr", model, record)
        if rival:
            name, hear = rival
            theirs = _measure(evaluate, samples, hear, added)
            result["peer"] = {"name": name} | theirs
            _finish(theirs, "asr", model, record and f"{record}, by {name}")
    rates = {"word errors": "wer", "character errors": "cer"}
    _tell(result, rates, as_json=as_json)
    if other and not as_json:
        typer.echo(f"The same by {result['peer']['name']}:")
        _show(result["peer"], rates)


@app.command(epilog="Example: assistant evaluate commands spoken/manifest.jsonl --plugins plugins")
def commands(
    manifest: Annotated[
        Path, typer.Argument(help='JSON lines {"file", "intent", "slots"}; a null intent is none.')
    ],
    plugins: Annotated[Path, typer.Option("--plugins", help="The plugins' folder.")],
    model: ModelOption = NANO,
    as_json: JsonOption = False,
    noise: NoiseOption = None,
    snr: SnrOption = None,
    limit: LimitOption = None,
    record: RecordOption = None,
    threads: ThreadsOption = 2,
) -> None:
    """How many commands are understood: intent and slots; out-of-domain ones must be refused."""
    with told(manifest):
        from engines.evaluation.commands import evaluate
        from engines.evaluation.samples import read_samples

        samples = read_samples(manifest, limit)
        understand = understander(model, plugins, threads)
        result = _measure(evaluate, samples, understand, _noise(noise, snr))
        _finish(result, "commands", model, record)
    _tell(result, {"right": "accuracy"}, as_json=as_json)


@app.command(epilog="Example: assistant evaluate questions runs/nano/heldout_questions")
def questions(
    manifest: Annotated[
        Path, typer.Argument(help='JSON lines {"file", "accepted"}: words, one of them is enough.')
    ],
    plugins: Annotated[Path, typer.Option("--plugins", help="The plugins' folder.")] = PLUGINS,
    model: ModelOption = NANO,
    as_json: JsonOption = False,
    noise: NoiseOption = None,
    snr: SnrOption = None,
    limit: LimitOption = None,
    record: RecordOption = None,
    threads: ThreadsOption = 2,
) -> None:
    """How many questions the whole assistant answers acceptably, plugins and model together."""
    with told(manifest):
        from engines.evaluation.questions import evaluate
        from engines.evaluation.samples import read_samples

        samples = read_samples(manifest, limit)
        with answerer(model, plugins, threads) as answer:
            result = _measure(evaluate, samples, answer, _noise(noise, snr))
        _finish(result, "questions", model, record)
    _tell(result, {"acceptable": "accuracy"}, as_json=as_json)


@app.command(epilog="Example: assistant evaluate card")
def card(model: ModelOption = NANO) -> None:
    """Write the model card from the measured numbers."""
    with told(model):
        from engines.evaluation.card import write_card

        typer.echo(f"{write_card(model)} written")


def _measure(
    evaluate: Callable[..., dict[str, Any]],
    samples: list["Sample"],
    listen: Callable[["Audio"], Any],
    noise: "Noise | None",
) -> dict[str, Any]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("listening", total=len(samples))
        result = evaluate(samples, listen, noise=noise, tick=lambda: bar.advance(task))
    return result | ({"snr_db": noise.snr_db} if noise else {})


def _noise(file: Path | None, snr_db: float | None) -> "Noise | None":
    from assistant.audio.files import load_audio
    from engines.evaluation.samples import ManifestError, Noise

    if file is None:
        if snr_db is not None:
            raise UserError("--snr says how loud a noise is: give one with --noise")
        return None
    try:
        return Noise(load_audio(file, max_seconds=600).samples, 12.0 if snr_db is None else snr_db)
    except ManifestError as error:
        raise UserError(f"--noise {file}: {error}") from error


def _finish(result: dict[str, Any], kind: str, model: Path, name: str | None) -> None:
    from engines.evaluation.card import record

    for file in result["unreadable"]:
        typer.echo(f"assistant: {file} cannot be read: left out", err=True)
    if not result["n"]:
        raise UserError("none of the recordings could be measured: read errors, or no texts")
    if name is not None:
        record(model, kind, name, result)


def _tell(result: dict[str, Any], columns: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False))
    else:
        _show(result, columns)


def _show(result: dict[str, Any], columns: dict[str, str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", *columns)
    table.columns[0].overflow = "fold"

    def row(name: str, rates: dict[str, Any]) -> None:
        cells = []
        for key in columns.values():
            low, high = rates[f"{key}_interval"]
            cells.append(f"{100 * rates[key]:.1f} % ({100 * low:.0f} to {100 * high:.0f})")
        table.add_row(f"{name} ({rates['n']})", *cells)

    row("all", result)
    for group, members in result["by"].items():
        if len(members) > _SHOWN_MEMBERS:
            table.add_row(f"{len(members)} {group}s: see --json", *("" for _ in columns))
            continue
        for name, rates in members.items():
            row(f"{group} {name}", rates)
    Console().print(table)
