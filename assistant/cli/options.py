"""Options that several commands share, and how they become settings."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assistant.errors import UserError

if TYPE_CHECKING:
    from assistant.settings import Settings

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
PortOption = Annotated[int | None, typer.Option("--port", help="The broker's port.")]
SourceOption = Annotated[str | None, typer.Option("--source", help="microphone, stdin or file.")]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="Microphone: an index or part of its name.")
]
FileOption = Annotated[
    list[Path] | None,
    typer.Option("--file", help="Recording to play as the microphone; repeatable."),
]
CheckpointOption = Annotated[Path | None, typer.Option("--model", help="Checkpoint folder.")]


def hearing(source: str | None, device: str | None, files: list[Path] | None) -> dict[str, Any]:
    """What `settings_from` makes of the options that say where sound comes from."""
    return {
        "audio.source": source or ("file" if files else None),
        "audio.device": device,
        "audio.files": files or None,
    }


def settings_from(
    config: Path | None, assignments: list[str] | None, flags: dict[str, Any]
) -> "Settings":
    """Load the settings; `flags` maps dotted names to values, and None means not given.

    Raises `UserError` for an assignment that is none and for every setting that is wrong.
    """
    from assistant.settings import load

    overrides: dict[str, Any] = {}
    for assignment in assignments or []:
        name, equals, value = assignment.partition("=")
        if not equals or not all(part.strip() for part in name.split(".")):
            raise UserError(f"--set {assignment}: write NAME=VALUE, as in --set site=kitchen")
        _assign(overrides, name.strip(), _value(value.strip()))
    for name, flag in flags.items():
        if flag is not None:
            _assign(overrides, name, flag)
    return load(config, overrides)


def _assign(overrides: dict[str, Any], name: str, value: Any) -> None:
    *sections, last = (part.strip() for part in name.split("."))
    for section in sections:
        overrides = overrides.setdefault(section, {})
        if not isinstance(overrides, dict):
            raise UserError(f"--set {name}: {section} was given a value, so it has no parts")
    overrides[last] = value


def _value(text: str) -> Any:
    """A quoted text, list or table of TOML, or the text itself, which settings read as they need.

    A password of digits is so still a text.
    """
    if not text.startswith(("[", "{", '"', "'")):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
