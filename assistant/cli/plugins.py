"""`assistant plugins`: what is loaded, whether it is sound, what it understands, and a new one."""

import asyncio
import itertools
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assistant.cli.options import ConfigOption, PortOption, SetOption, settings_from
from assistant.errors import UserError

if TYPE_CHECKING:
    from assistant.intents import Intents
    from assistant.settings import Settings

app = typer.Typer(help="Intent handlers.", no_args_is_help=True)

FolderOption = Annotated[
    Path | None,
    typer.Option("--folder", help="The drop-in folder, instead of the settings'."),
]


@app.command("list", epilog="Example: assistant plugins list --folder ./plugins")
def list_plugins(
    config: ConfigOption = None, folder: FolderOption = None, assignments: SetOption = None
) -> None:
    """Show every plugin, its intents, its file, and what is wrong with it."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    intents = _load(_settings(config, _present(folder), assignments))
    table = Table("plugin", "intents")
    for heading in ("source", "status"):
        table.add_column(heading, overflow="fold")
    for loaded in intents.plugins:
        names = ", ".join(bound.handler.name for bound in loaded.handlers)
        table.add_row(loaded.plugin.name, names, loaded.plugin.source, Text("loaded", "green"))
    for problem in intents.problems:
        table.add_row(problem.plugin, "", "", Text(problem.reason, "red"))
    Console().print(table)


@app.command(epilog="Example: assistant plugins check --folder ./plugins")
def check(
    config: ConfigOption = None, folder: FolderOption = None, assignments: SetOption = None
) -> None:
    """Run every example against all templates; exit with 1 if anything is wrong.

    Examples are written for the plugins' default configurations, so these are used.
    """
    from assistant.conflicts import conflicts

    settings = _settings(config, _present(folder), assignments)
    defaults = settings.plugins.model_copy(update={"config": {}})
    configured = _load(settings)
    plain = _load(settings.model_copy(update={"plugins": defaults}))
    wrong = [str(problem) for problem in (*configured.problems, *plain.problems)]
    wrong += [str(conflict) for conflict in conflicts(plain)]
    for line in dict.fromkeys(wrong):
        typer.echo(line)
    if wrong:
        raise typer.Exit(1)
    count = sum(len(b.handler.examples) for each in plain.plugins for b in each.handlers)
    typer.echo(f"{len(plain.plugins)} plugins, {count} examples: all as meant")


@app.command(epilog="Example: assistant plugins new coffee")
def new(
    name: Annotated[str, typer.Argument(help="Small letters, digits and underscores.")],
    config: ConfigOption = None,
    folder: FolderOption = None,
    assignments: SetOption = None,
    answers: Annotated[
        bool, typer.Option("--answers", help="Sentences and replies in TOML, without Python.")
    ] = False,
) -> None:
    """Write a plugin that works, and its test, to begin from."""
    from assistant.skeleton import write_phrasebook, write_plugin

    settings = _settings(config, folder, assignments)
    for loaded in _load(settings).plugins:
        if loaded.plugin.name == name:
            raise UserError(f"there is a plugin {name!r} already: {loaded.plugin.source}")
    if answers:
        typer.echo(f"wrote {write_phrasebook(name, settings.plugins.folder)}")
        where = f" --folder {shlex.quote(str(folder))}" if folder else ""
        typer.echo(f"next: assistant plugins check{where}")
        return
    for path in write_plugin(name, settings.plugins.folder):
        typer.echo(f"wrote {path}")
    typer.echo(f"next: python -m pytest {path}")


@app.command(epilog="Example: assistant plugins reload --host hub.local --site kitchen")
def reload(
    config: ConfigOption = None,
    site: Annotated[str | None, typer.Option(help="The assistant's room or machine.")] = None,
    host: Annotated[str | None, typer.Option(help="The broker.")] = None,
    port: PortOption = None,
    assignments: SetOption = None,
) -> None:
    """Ask the running assistant to load the plugins that have changed; 1 if any is broken."""
    from assistant.mqtt.asking import ask
    from assistant.mqtt.topics import RequestName

    flags = {"site": site, "mqtt.host": host, "mqtt.port": port}
    settings = settings_from(config, assignments, flags)
    changed = asyncio.run(ask(settings.mqtt, settings.site, RequestName.RELOAD))
    for kind in ("started", "stopped"):
        for name in changed.get(kind, ()):
            typer.echo(f"{kind} {name}")
    problems = changed.get("problems", ())
    for problem in problems:
        typer.echo(f"plugin {problem['plugin']}: {problem['reason']}")
    if problems:
        raise typer.Exit(1)
    if not changed.get("started") and not changed.get("stopped"):
        typer.echo("no plugin has changed")


@app.command(epilog="Example: assistant plugins sentences --limit 20")
def sentences(
    config: ConfigOption = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many sentences.")] = 1000,
    seed: Annotated[int, typer.Option(help="Another seed draws other sentences.")] = 0,
    folder: FolderOption = None,
    assignments: SetOption = None,
) -> None:
    """Print sentences of all templates as JSON lines: {"text", "intent", "slots"}."""
    intents = _load(_settings(config, _present(folder), assignments))
    for sentence in itertools.islice(intents.sentences(seed), limit):
        typer.echo(json.dumps(sentence._asdict(), ensure_ascii=False))


def _present(folder: Path | None) -> Path | None:
    """Raise `UserError` for a folder that is not there: a typing error would show no plugin."""
    if folder is not None and not folder.exists():
        raise UserError(f"--folder {folder}: no such folder")
    return folder


def _settings(
    config: Path | None, folder: Path | None, assignments: list[str] | None
) -> "Settings":
    if folder is not None and not folder.is_dir() and folder.exists():
        raise UserError(f"--folder {folder} is no folder")
    return settings_from(config, assignments, {"plugins.folder": folder})


def _load(settings: "Settings") -> "Intents":
    """Load without logging the problems, which these commands show themselves."""
    from assistant.intents import Intents

    return Intents.of(settings)
