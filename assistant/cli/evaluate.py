"""`assistant evaluate`: error rates, understood commands, and the model card made of them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assistant.cli.train import told
from assistant.errors import UserError

if TYPE_CHECKING:
    from assistant.intents import Intents
    from engines.evaluation.commands import Reading
    from engines.evaluation.samples import Audio, Noise, Sample

app = typer.Typer(help="Measure a model, and write its card.", no_args_is_help=True)

NANO = Path(__file__).parents[2] / "engines" / "nano"
_TRANSCRIPT_TOKENS = 64
_SHOWN_MEMBERS = 12

ManifestArgument = Annotated[
    Path, typer.Argument(help="JSON lines with file, text, speaker; or a corpus folder.")
]
ModelOption = Annotated[Path, typer.Option("--model", help="Checkpoint folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
NoiseOption = Annotated[Path | None, typer.Option("--noise", help="A recording to mix in.")]
SnrOption = Annotated[
    float, typer.Option("--snr", help="Speech over noise in dB.", min=-30, max=60)
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
    snr: SnrOption = 12.0,
    limit: LimitOption = None,
    record: RecordOption = None,
    threads: ThreadsOption = 2,
) -> None:
    """Word and character error rates, whole and by source, speaker and age."""
    with told(manifest):
        from engines.evaluation.asr import evaluate
        from engines.evaluation.samples import read_samples

        samples = read_samples(manifest, limit)
        hear = _transcriber(model, threads)
        result = _measure(evaluate, samples, hear, _noise(noise, snr))
        _finish(result, "asr", model, record)
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False))
        return
    _show(result, {"word errors": "wer", "character errors": "cer"})


@app.command(epilog="Example: assistant evaluate commands spoken/manifest.jsonl --plugins plugins")
def commands(
    manifest: Annotated[
        Path, typer.Argument(help='JSON lines {"file", "intent", "slots"}; a null intent is none.')
    ],
    plugins: Annotated[Path, typer.Option("--plugins", help="The plugins' folder.")],
    model: ModelOption = NANO,
    as_json: JsonOption = False,
    noise: NoiseOption = None,
    snr: SnrOption = 12.0,
    limit: LimitOption = None,
    record: RecordOption = None,
    threads: ThreadsOption = 2,
) -> None:
    """How many commands are understood: intent and slots; out-of-domain ones must be refused."""
    with told(manifest):
        from engines.evaluation.commands import evaluate
        from engines.evaluation.samples import read_samples

        samples = read_samples(manifest, limit)
        understand = _understander(model, plugins, threads)
        result = _measure(evaluate, samples, understand, _noise(noise, snr))
        _finish(result, "commands", model, record)
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False))
        return
    _show(result, {"right": "accuracy"})


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


def _noise(file: Path | None, snr_db: float) -> "Noise | None":
    from assistant.audio.files import load_audio
    from engines.evaluation.samples import Noise

    return Noise(load_audio(file, max_seconds=600).samples, snr_db) if file else None


def _transcriber(model: Path, threads: int) -> Callable[["Audio"], str]:
    """The engine's free transcript, no plugin asked."""
    from engines.checkpoints import CheckpointError
    from engines.diffa import Ask, Engine

    try:
        engine = Engine.load(model, threads=threads)
    except CheckpointError as error:
        raise UserError(f"--model: {error}") from error
    schedule = replace(engine.schedule, max_new_tokens=_TRANSCRIPT_TOKENS)

    def hear(audio: "Audio") -> str:
        ask = Ask("transcribe", engine.encode(audio), schedule=schedule)
        return "".join(block.text for block in engine.generate([ask])).strip()

    return hear


def _understander(model: Path, plugins: Path, threads: int) -> Callable[["Audio"], "Reading"]:
    """What the daemon would do: the transcript, weighed against the sentences of the plugins."""
    from assistant.settings import load
    from assistant.slots import jsonable
    from assistant.understanding import load_mind
    from assistant.worker import Cancel
    from engines.evaluation.commands import Reading

    settings = load(None, {"engine": {"model": model, "threads": threads}})
    intents = load_folder(plugins)
    mind = load_mind(settings, intents)

    def understand(audio: "Audio") -> Reading:
        transcript = mind.understand(Cancel(), audio).transcript
        found = intents.match(transcript) if transcript else []
        if not found:
            return Reading(transcript, None, {})
        return Reading(transcript, found[0].intent, jsonable(found[0].slots))

    return understand


def load_folder(folder: Path) -> "Intents":
    """Load the plugins of one folder and no others; raises `UserError` when one is broken."""
    from assistant.intents import Intents
    from assistant.loading import load_plugins
    from assistant.settings import load

    if not folder.is_dir():
        raise UserError(f"--plugins {folder}: no such folder")
    settings = load(None, {"plugins": {"folder": folder}})
    loaded, problems = load_plugins(settings.plugins)
    home = folder.resolve()
    inside = [each for each in loaded if Path(each.plugin.source).resolve().is_relative_to(home)]
    if not inside:
        reason = next((str(each) for each in problems), "it holds no plugin")
        raise UserError(f"--plugins {folder}: {reason}")
    state, timeout_s = settings.state_folder, settings.plugins.timeout_s
    return Intents(inside, problems, state_folder=state, timeout_s=timeout_s)


def _finish(result: dict[str, Any], kind: str, model: Path, name: str | None) -> None:
    from engines.evaluation.card import record

    for file in result["unreadable"]:
        typer.echo(f"assistant: {file} cannot be read: left out", err=True)
    if not result["n"]:
        raise UserError("none of the recordings could be measured: read errors, or no texts")
    if name is not None:
        record(model, kind, name, result)


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
