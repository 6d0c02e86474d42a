"""`assistant config`: every setting there is, and every setting in force."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

    from assistant.settings_layers import Layers

app = typer.Typer(help="Settings: which there are, and which are in force.", no_args_is_help=True)

_TABLE_HEAD = """\
| setting | values | default | meaning |
| --- | --- | --- | --- |"""


@app.command()
def schema(
    markdown: Annotated[bool, typer.Option("--markdown", help="A table for people.")] = False,
) -> None:
    """Print every setting with its type, bounds, default and meaning, as a JSON schema."""
    from assistant.described import schema_of
    from assistant.settings import Settings

    whole = schema_of(Settings)
    if not markdown:
        typer.echo(json.dumps(whole, indent=2, ensure_ascii=False))
        return
    typer.echo(_TABLE_HEAD)
    for name, spec in _leaves(whole, whole):
        meaning = " ".join(spec.get("description", "").split())
        cells = (f"`{name}`", _values(spec), _default(spec), meaning)
        typer.echo("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")


@app.command()
def show(
    config: Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of TOML.")] = False,
) -> None:
    """Print the settings in force, secrets masked, and where each was given, as TOML."""
    from assistant.settings import Settings, load, read_layers
    from assistant.settings_layers import masked, unknown_variables

    settings, layers = load(config), read_layers(config)
    if as_json:
        typer.echo(json.dumps(masked("", settings), indent=2, ensure_ascii=False, default=str))
        return
    for variable in unknown_variables(os.environ, Settings):
        typer.echo(f"# ignored, no such setting: {variable}")
    for line in _toml_lines(settings, (), layers):
        typer.echo(line)


def _leaves(whole: Any, node: Any, prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every setting's dotted name and its part of the JSON schema, references resolved."""
    for name, given in node["properties"].items():
        spec = dict(given)
        if "$ref" in given:
            spec = whole["$defs"][given["$ref"].rpartition("/")[2]] | given
        if "properties" in spec:
            yield from _leaves(whole, spec, f"{prefix}{name}.")
        else:
            yield prefix + name, spec


def _values(spec: Mapping[str, Any]) -> str:
    """Say what a setting may be: its choices, or its type and bounds."""
    if "anyOf" in spec:
        kinds = dict.fromkeys(_values(kind) for kind in spec["anyOf"] if kind != {"type": "null"})
        return " or ".join(kinds)
    if "enum" in spec:
        return ", ".join(f"`{choice}`" for choice in spec["enum"])
    kind = spec.get("format", spec["type"])
    kind = {"array": "list", "object": "table"}.get(kind, kind)
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {spec[key]:.10g}" for key, sign in signs.items() if key in spec]
    return ", ".join([kind, *bounds])


def _default(spec: Mapping[str, Any]) -> str:
    from assistant.settings import DEFAULT_PATH, STATE_FOLDER

    value = spec.get("default")
    if value in (None, [], {}):
        return ""
    text = json.dumps(value, ensure_ascii=False)
    text = text.replace(str(DEFAULT_PATH.parent), "~/.config/assistant")
    return f"`{text.replace(str(STATE_FOLDER), '~/.local/state/assistant')}`"


def _toml_lines(section: "BaseModel", path: tuple[str, ...], layers: "Layers") -> Iterator[str]:
    """One line for each setting, the tables after the plain settings as TOML wants it."""
    from pydantic import BaseModel

    from assistant.settings_layers import masked

    tables = []
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            tables.append((name, value))
            continue
        told = layers.origin((*path, name))
        written = f"# {name} =" if value is None else f"{name} = {_toml(masked(name, value))}"
        yield f"{written:<48} # {told}"
    for name, value in tables:
        yield f"\n[{'.'.join((*path, name))}]"
        yield from _toml_lines(value, (*path, name), layers)


def _toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str() | Path():
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", r"\u007f")
        case Mapping():
            pairs = (f"{_toml(str(key))} = {_toml(each)}" for key, each in value.items())
            return "{ " + ", ".join(pairs) + " }" if value else "{}"
        case list():
            return "[" + ", ".join(_toml(each) for each in value) + "]"
        case _:
            return str(value)
