"""Options that several commands share, and how they become settings."""

import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from assistant.errors import UserError
from assistant.settings import Settings, load

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Settings file (TOML).", show_default=False)
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="One setting, over file and environment: --set mqtt.host=hub.local",
        show_default=False,
    ),
]


def settings_from(
    config: Path | None, assignments: list[str] | None, flags: dict[str, Any]
) -> Settings:
    """Load the settings; `flags` maps dotted names to values, and None means not given."""
    overrides: dict[str, Any] = {}
    for assignment in assignments or []:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise UserError(f"--set {assignment}: write NAME=VALUE, as in --set site=kitchen")
        _assign(overrides, name.strip(), _value(value.strip()))
    for name, flag in flags.items():
        if flag is not None:
            _assign(overrides, name, flag)
    return load(config, overrides)


def _assign(overrides: dict[str, Any], name: str, value: Any) -> None:
    *sections, last = name.split(".")
    for section in sections:
        overrides = overrides.setdefault(section, {})
        if not isinstance(overrides, dict):
            raise UserError(f"--set {name}: {section} is a setting, not a section")
    overrides[last] = value


def _value(text: str) -> Any:
    """A TOML value, or the text itself, so that strings need no quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
