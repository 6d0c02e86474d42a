"""`assistant ask`: one answer for each recording, without a daemon."""

import asyncio
import json
import os
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assistant.cli.options import CheckpointOption, ConfigOption, SetOption, settings_from
from assistant.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from assistant.intents import Intents
    from assistant.settings import Settings
    from assistant.understanding import Mind

EXAMPLES = """Examples:

  assistant ask request.wav

  assistant ask *.flac --json

  ffmpeg -i talk.mp4 -f wav - | assistant ask -"""


_BEYOND_S = 1.0
"""Read beyond what the model hears, to know that there is more."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of one recording; the shape of `--json`."""

    file: str
    transcript: str
    intent: str | None
    slots: dict[str, Any]
    text: str
    passes: int
    timings_ms: dict[str, float]
    """encode, decode, total."""


def ask(
    files: Annotated[
        list[str], typer.Argument(help="Recordings in any common format; `-` is standard input.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each file.")] = False,
    model: CheckpointOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Answer recordings. A file that cannot be answered is named, and the exit code is 2."""
    settings = settings_from(config, assignments, {"engine.model": model})
    there = [file for file in files if _is_there(file)]  # a model is not loaded for nothing
    failed = len(files) - len(there)
    if there:
        mind, intents = _loaded(settings)  # not on the event loop, where Ctrl-C would wait for it
        failed += asyncio.run(_answer_all(there, mind, intents, settings, as_json=as_json))
    if failed:
        raise typer.Exit(2)


def _is_there(file: str) -> bool:
    """Whether a file can be opened at all; why not is told."""
    try:
        _check(file)
    except UserError as error:
        typer.echo(f"assistant: {error}", err=True)
        return False
    return True


def _check(file: str) -> None:
    """Raise `UserError` for a file that is not there."""
    if not file:
        raise UserError("the name of a file is empty: name a recording")
    if file == "-":
        return
    path = Path(file)
    if not path.exists():
        raise UserError(f"{file}: no such file")
    if path.is_dir():
        raise UserError(f"{file} is a folder: name the recordings in it")
    if not os.access(path, os.R_OK):
        raise UserError(f"{file} may not be read by this user: change its owner or its mode")
    if path.is_file() and path.stat().st_size == 0:
        raise UserError(f"{file} is empty: record it again")


def _loaded(settings: "Settings") -> "tuple[Mind, Intents]":
    from assistant.garbage import no_search
    from assistant.intents import Intents
    from assistant.logs import configure
    from assistant.threads import beside
    from assistant.understanding import load_mind

    configure(settings.log)
    with no_search():
        loaded = beside(partial(Intents.load, settings), "plugins")
        return load_mind(settings, loaded), loaded()


async def _answer_all(
    files: list[str], mind: "Mind", intents: "Intents", settings: "Settings", *, as_json: bool
) -> int:
    """Answer each file; return how many could not be."""
    from assistant.outside import Collector

    await intents.start(Collector(site=settings.site), threads=True)
    failed = 0
    try:
        for file in files:
            try:
                answered = await _answer(file, mind, intents, settings)
            except UserError as error:
                typer.echo(f"assistant: {error}", err=True)
                failed += 1
                continue
            _show(answered, as_json=as_json)
    finally:
        await intents.stop()
    return failed


async def _answer(file: str, mind: "Mind", intents: "Intents", settings: "Settings") -> Answered:
    from assistant.audio.files import load_audio
    from assistant.turn import SAMPLE_RATE_HZ
    from engines.pauses import pause_before

    recording = load_audio(file, mind.longest_s + _BEYOND_S)
    samples = recording.samples[: pause_before(recording.samples, mind.longest_s)]
    if len(samples) < len(recording.samples):
        total, heard = f"{recording.seconds_total:.0f} s", len(samples) / SAMPLE_RATE_HZ
        note = f"{file}: {total} long; only the first {heard:.0f} s are heard, up to a pause"
        typer.echo(f"assistant: {note}", err=True)
    return await answer(file, samples, mind, intents, settings)


async def answer(
    file: str,
    samples: "NDArray[np.int16]",
    mind: "Mind",
    intents: "Intents",
    settings: "Settings",
) -> Answered:
    """Answer one recording as the daemon would; raises `UserError` where nobody speaks in it.

    `samples` are mono at 16 kHz, not longer than the mind hears; `intents` are started.
    """
    from assistant.answering import Answerer
    from assistant.audio.vad import holds_speech
    from assistant.clock import SystemClock
    from assistant.dialogue import new_turn_id
    from assistant.turn import EndReason
    from assistant.worker import Cancel

    started = time.perf_counter()
    silent = not holds_speech(samples, settings.vad, settings.endpoint.start_ms)
    understood = None if silent else mind.understand(Cancel(), samples)
    if understood is None or not understood.transcript:
        raise UserError(f"{file}: no speech was heard in it")
    answerer, turn, site = Answerer(intents, SystemClock()), new_turn_id(), settings.site
    answered = await answerer.answer(turn, site, understood, EndReason.SOURCE_ENDED, samples)
    if answered.result and answered.result.error:
        typer.echo(f"assistant: {file}: {answered.result.error}", err=True)
    reply = answered.reply
    total_ms = round((time.perf_counter() - started) * 1000, 1)
    return Answered(
        file=file,
        transcript=understood.transcript,
        intent=reply.turn.intent,
        slots=dict(reply.turn.slots),
        text=reply.text,
        passes=reply.passes,
        timings_ms={
            "encode": reply.timings.encode,
            "decode": reply.timings.decode,
            "total": total_ms,
        },
    )


def _show(answered: Answered, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(answered), ensure_ascii=False))
        return
    took = f"{answered.timings_ms['total']:.0f} ms, {answered.passes} passes"
    intent = f" [{answered.intent}]" if answered.intent else ""
    typer.echo(f"{answered.file}\n  heard   {answered.transcript}{intent}")
    typer.echo(f"  answer  {answered.text}\n  took    {took}")
