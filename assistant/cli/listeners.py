"""What `assistant evaluate` measures: ways to listen to a recording, each as a function."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from assistant.errors import UserError

if TYPE_CHECKING:
    from assistant.intents import Intents
    from engines.evaluation.commands import Reading
    from engines.evaluation.samples import Audio

_TRANSCRIPT_TOKENS = 64


def transcriber(model: Path, threads: int) -> Callable[["Audio"], str]:
    """The engine's free transcript, no plugin asked."""
    from engines.checkpoints import CheckpointError
    from engines.diffa import Ask, Engine

    try:
        engine = Engine.load(model, threads=threads)
    except CheckpointError as error:
        raise UserError(f"--model: {error}") from error
    schedule = replace(engine.schedule, max_new_tokens=_TRANSCRIPT_TOKENS)

    def hear(audio: "Audio") -> str:
        prefix = engine.encode(audio)
        if engine.spells:
            reading = engine.read(prefix)
            return reading.text if reading else ""
        blocks = engine.generate([Ask("transcribe", prefix, schedule=schedule)])
        return "".join(block.text for block in blocks).strip()

    return hear


def understander(model: Path, plugins: Path, threads: int) -> Callable[["Audio"], "Reading"]:
    """What the daemon would do: the transcript, weighed against the sentences of the plugins."""
    from assistant.settings import load
    from assistant.slots import jsonable
    from assistant.understanding import load_mind
    from assistant.worker import Cancel
    from engines.evaluation.commands import Reading

    settings = load(None, {"engine": {"model": model, "threads": threads}})
    intents = load_folder(plugins)
    mind = load_mind(settings, lambda: intents)

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
    settings = load(None, {"plugins": {"folder": folder, "installed": False}})
    loaded, problems = load_plugins(settings.plugins)
    if not loaded:
        reason = next((str(each) for each in problems), "it holds no plugin")
        raise UserError(f"--plugins {folder}: {reason}")
    for problem in problems:
        typer.echo(f"assistant: {problem}", err=True)
    state, timeout_s = settings.state_folder, settings.plugins.timeout_s
    return Intents(loaded, problems, state_folder=state, timeout_s=timeout_s)


@contextmanager
def answerer(model: Path, plugins: Path, threads: int) -> "Iterator[Callable[[Audio], str]]":
    """The whole assistant's answer, plugins first; what they publish and schedule goes nowhere."""
    from assistant.cli.ask import answer
    from assistant.outside import Collector
    from assistant.settings import load
    from assistant.understanding import load_mind

    settings = load(None, {"engine": {"model": model, "threads": threads}})
    intents = load_folder(plugins)
    mind = load_mind(settings, lambda: intents)

    with asyncio.Runner() as runner:
        runner.run(intents.start(Collector(site=settings.site)))

        def answered(audio: "Audio") -> str:
            try:
                return runner.run(answer("the recording", audio, mind, intents, settings)).text
            except UserError:
                return ""

        try:
            yield answered
        finally:
            runner.run(intents.stop())


def peer(name: str) -> "tuple[str, Callable[[Audio], str]]":
    """Somebody else's recogniser, and its full name; raises `UserError`."""
    import numpy as np

    from engines.evaluation.peers import PeerError, open_peer

    try:
        other = open_peer(name)
    except PeerError as error:
        raise UserError(f"--peer: {error}") from error
    return other.name, lambda audio: other.transcribe(audio.astype(np.float32) / 32768)
