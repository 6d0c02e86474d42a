"""`assistant bench soak` and `assistant bench outbox`: what holds for long."""

import asyncio
import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from assistant.cli.options import ConfigOption, SetOption, settings_from

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def soak(
    turns: Annotated[int, typer.Option(min=100, help="Turns of a model that costs nothing.")] = (
        100_000
    ),
    as_json: JsonOption = False,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Watch the memory over very many turns of dialogue, plugins, outbox and broker."""
    from assistant.endurance import soak as run
    from assistant.logs import configure

    settings = settings_from(config, assignments, {"log.level": "error"})
    configure(settings.log)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("turns", total=turns)
        found = asyncio.run(run(settings, turns, lambda done: bar.update(task, completed=done)))
    if as_json:
        typer.echo(json.dumps(asdict(found)))
        return
    first, last = found.rss_mib[0], found.rss_mib[-1]
    typer.echo(
        f"{found.turns} turns at {found.turns / found.seconds:.0f} a second: "
        f"memory {first:.1f} MiB, then {last:.1f} MiB; "
        f"it grows by {found.kib_per_1000_turns:g} KiB in a thousand turns "
        f"({found.blocks_per_1000_turns:g} of Python's blocks)"
    )


def outbox(
    replies: Annotated[int, typer.Option(min=1, help="Replies that wait.")] = 10_000,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Time how long replies that waited for the broker take to reach it."""
    from assistant.endurance import drain
    from assistant.logs import configure

    settings = settings_from(config, assignments, {"log.level": "error"})
    configure(settings.log)
    found = asyncio.run(drain(settings.mqtt, replies))
    if as_json:
        typer.echo(json.dumps(asdict(found)))
        return
    typer.echo(
        f"{found.replies} replies were queued in {found.queue_s:.2f} s and sent in "
        f"{found.drain_s:.2f} s ({found.replies / found.drain_s:.0f} a second)"
    )
