"""Where a setting came from, and what to say when it is wrong, without telling a secret."""

import difflib
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_settings import SettingsError

Table = Mapping[str, Any]

MASK = "********"
"""Shown in the place of a secret."""

_SECRET = re.compile(r"passw|passphrase|secret|token|api_?key|credential", re.IGNORECASE)
_NOT_SECRET = re.compile(r"_(file|folder|path)$|^max_new_tokens$", re.IGNORECASE)
_SHOWN_CHARACTERS = 60

_CLEARER = {
    "string_pattern_mismatch": "use 1 to 64 letters, digits, - or _",
    "model_type": "must be a table",
    "dict_type": "must be a table",
    "tuple_type": "must be a list",
    "string_type": "must be text",
}


def is_secret(name: str) -> bool:
    """Whether a setting of this name, a plugin's own included, holds something not to be shown."""
    return bool(_SECRET.search(name)) and not _NOT_SECRET.search(name)


def masked(name: str, value: Any) -> Any:
    """`value` of the setting or section `name` without its secrets, as plain tables and lists."""
    match value:
        case SecretStr():
            return MASK
        case BaseModel():
            return {key: masked(key, getattr(value, key)) for key in type(value).model_fields}
        case Mapping():
            return {key: masked(key, each) for key, each in value.items()}
        case list() | tuple():
            return [masked(name, each) for each in value]
        case str() | int() | float() if is_secret(name) and not isinstance(value, bool):
            return MASK
        case _:
            return value


def fingerprint(settings: BaseModel) -> str:
    """Twelve hexadecimal digits that change when a setting changes; secrets are not part of it."""
    plain = json.dumps(masked("", settings), sort_keys=True, default=str)
    return hashlib.sha256(plain.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Layers:
    """The places a setting can come from, strongest first, each as nested tables."""

    overrides: Table
    environment: Table
    file: Table
    path: Path
    """The settings file, whether it is there or not."""

    def merged(self) -> dict[str, Any]:
        """One table; a stronger place hides a weaker one setting by setting."""
        return _over(self.overrides, _over(self.environment, self.file))

    def origin(self, name: Sequence[str]) -> str:
        """Where the setting or section `name` was given; `default` if nowhere."""
        if _holds(self.overrides, name):
            return "command line"
        if _holds(self.environment, name):
            return "environment: ASSISTANT_" + "__".join(name).upper()
        if _holds(self.file, name):
            return f"file: {self.path}"
        return "default"


def explain(error: ValidationError, model: type[BaseModel], layers: Layers) -> str:
    """One line that names every wrong setting, where it was given and the remedy."""
    said: dict[str, str] = {}
    for item in error.errors(include_url=False):
        name = _name(item["loc"], model)
        dotted = ".".join(name) or "settings"
        if item["type"] == "extra_forbidden":
            problem = f"{dotted}: no such setting{_suggestion(name, model)}"
        else:
            reason = _CLEARER.get(item["type"]) or item["msg"].removeprefix("Value error, ")
            problem = f"{dotted}{_shown(name, item['input'])}: {reason[0].lower()}{reason[1:]}"
        said.setdefault(dotted, f"{problem} ({layers.origin(name)})")
    return "; ".join(said.values()) + " (all settings: assistant config schema)"


def explain_environment(error: SettingsError, environment: Mapping[str, str]) -> str:
    """One line for a variable that must be JSON and is not."""
    text = getattr(error.__cause__, "doc", None)
    names = [name for name, value in environment.items() if value == text]
    name = next((name for name in names if name.upper().startswith("ASSISTANT_")), "environment")
    return f'{name}: not JSON; a list is written ["one", "two"], a table {{"name": "value"}}'


def unknown_variables(environment: Mapping[str, str], model: type[BaseModel]) -> list[str]:
    """List the variables that look like settings and are none: no setting has their first word."""
    known = {name.upper() for name in model.model_fields}
    ours = [name for name in environment if name.upper().startswith("ASSISTANT_")]
    return sorted(n for n in ours if n.upper().split("_", 1)[1].split("__")[0] not in known)


def _over(strong: Table, weak: Table) -> dict[str, Any]:
    merged = dict(weak)
    for name, value in strong.items():
        below = merged.get(name)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            merged[name] = _over(value, below)
        else:
            merged[name] = value
    return merged


def _holds(table: Any, name: Sequence[str]) -> bool:
    for part in name:
        if not isinstance(table, Mapping) or part not in table:
            return False
        table = table[part]
    return bool(name)


def _name(location: Sequence[str | int], model: type[BaseModel]) -> tuple[str, ...]:
    """Name the setting at `location`, without the list indices and type names that follow it."""
    name: list[str] = []
    section: type[BaseModel] | None = model
    for part in location:
        if section is None or not isinstance(part, str):
            break
        name.append(part)
        field = section.model_fields.get(part)
        kind = field.annotation if field else None
        section = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
    return tuple(name)


def _suggestion(name: Sequence[str], model: type[BaseModel]) -> str:
    section: Any = model
    for part in name[:-1]:
        section = section.model_fields[part].annotation
    near = difflib.get_close_matches(name[-1], section.model_fields, n=1)
    return f"; did you mean {'.'.join([*name[:-1], *near])}?" if near else ""


def _shown(name: Sequence[str], value: Any) -> str:
    """Show the value, when it is short and nothing in its name says that it is a secret."""
    if any(map(is_secret, name)) or not isinstance(value, str | int | float):
        return ""
    text = json.dumps(value, ensure_ascii=False)
    return f" = {text}" if len(text) <= _SHOWN_CHARACTERS else ""
