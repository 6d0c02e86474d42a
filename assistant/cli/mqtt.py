"""`assistant mqtt`: what is said on which topic, and taking back what was left there."""

import asyncio
import json
from typing import Annotated

import typer

from assistant.cli.options import ConfigOption, SetOption, settings_from

app = typer.Typer(help="Topics: what is said on them, and what was left.", no_args_is_help=True)


@app.command()
def schema(
    markdown: Annotated[bool, typer.Option("--markdown", help="A document for people.")] = False,
) -> None:
    """Print every topic with its direction, quality of service and JSON Schema, as JSON."""
    from assistant.mqtt.catalogue import catalogue
    from assistant.mqtt.document import document
    from assistant.mqtt.topics import Topics

    if markdown:
        typer.echo(document())
        return
    topics = {entry.topic: entry.describe() for entry in catalogue(Topics("assistant", "<site>"))}
    typer.echo(json.dumps(topics, indent=2, ensure_ascii=False))


@app.command()
def clean(config: ConfigOption = None, assignments: SetOption = None) -> None:
    """Remove everything this assistant left on the broker: retained values and discovery."""
    from assistant.mqtt.cleaning import clean as clean_up

    settings = settings_from(config, assignments, {})
    cleaned = asyncio.run(clean_up(settings.mqtt, settings.site, settings.state_folder))
    for topic in cleaned.topics:
        typer.echo(f"removed {topic}")
    if not cleaned.topics:
        typer.echo("there is nothing to remove")
    if cleaned.running:
        typer.echo("the assistant is running and will publish again: stop it first", err=True)
