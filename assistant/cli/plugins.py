"""`assistant plugins`: what is loaded, whether it is sound, and what it understands."""

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from assistant.intents import Intents
    from assistant.settings import Settings

app = typer.Typer(help="Intent handlers.", no_args_is_help=True)

ConfigOption = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")]


@app.command("list")
def list_plugins(config: ConfigOption = None) -> None:
    """Show every plugin, its intents, its file, and what is wrong with it."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from assistant.settings import load

    intents = _load(load(config))
    table = Table("plugin", "intents")
    for heading in ("source", "status"):
        table.add_column(heading, overflow="fold")
    for loaded in intents.plugins:
        names = ", ".join(bound.handler.name for bound in loaded.handlers)
        table.add_row(loaded.plugin.name, names, loaded.plugin.source, Text("loaded", "green"))
    for problem in intents.problems:
        table.add_row(problem.plugin, "", "", Text(problem.reason, "red"))
    Console().print(table)


@app.command()
def check(config: ConfigOption = None) -> None:
    """Run every example against all templates; exit with 1 if anything is wrong.

    Examples are written for the plugins' default configurations, so these are used.
    """
    from assistant.conflicts import conflicts
    from assistant.settings import load

    settings = load(config)
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


@app.command()
def sentences(
    config: ConfigOption = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many sentences.")] = 1000,
    seed: Annotated[int, typer.Option(help="Another seed draws other sentences.")] = 0,
) -> None:
    """Print sentences of all templates as JSON lines: {"text", "intent", "slots"}."""
    from assistant.settings import load

    for sentence in itertools.islice(_load(load(config)).sentences(seed), limit):
        typer.echo(json.dumps(sentence._asdict(), ensure_ascii=False))


def _load(settings: "Settings") -> "Intents":
    """Load without logging the problems, which these commands show themselves."""
    from assistant.intents import Intents
    from assistant.loading import load_plugins

    plugins, problems = load_plugins(settings.plugins)
    folder, timeout_s = settings.state_folder, settings.plugins.timeout_s
    return Intents(plugins, problems, state_folder=folder, timeout_s=timeout_s)
