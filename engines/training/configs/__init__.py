"""The recipe's numbers: one file for each stage, and how such a file is read."""

import dataclasses
import shutil
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

FOLDER = Path(__file__).parent

_T = TypeVar("_T")


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names the file and the key."""


def path_of(stage: str, run: Path, given: Path | None = None) -> Path:
    """The file that was `given`, or else the one the run was begun with, or else the recipe's."""
    begun_with = run / f"{stage}.toml"
    return given or (begun_with if begun_with.is_file() else FOLDER / f"{stage}.toml")


def keep(path: Path, stage: str, run: Path) -> None:
    """Leave the numbers a stage is begun with in the run's folder, for `path_of` to find."""
    kept = run / f"{stage}.toml"
    if path != kept:
        run.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, kept)


def read(kind: type[_T], path: Path) -> _T:
    """Read a configuration file into the dataclass `kind`; every key must be one of its fields.

    Raises `ConfigError` for a file that is missing, malformed or does not fit.
    """
    try:
        return fill(kind, tomllib.loads(path.read_text(encoding="utf-8")), "")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; give a configuration file") from error
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error


def fill(kind: type[_T], table: Mapping[str, Any], where: str) -> _T:
    """Fill a dataclass, and those inside it, from a table; raises `ValueError` for a misfit."""
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(typing.cast("Any", kind))}
    for key in table:
        if key not in fields:
            raise ValueError(f"{where}{key} is no setting; there are {', '.join(fields)}")
    for name, field in fields.items():
        no_default = field.default is field.default_factory is dataclasses.MISSING
        if name not in table and no_default:
            raise ValueError(f"{where}{name} is missing")
    return kind(**{key: _value(hints[key], given, where + key) for key, given in table.items()})


def _value(wanted: Any, given: Any, name: str) -> Any:
    origin, parts = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is types.UnionType:  # what may be left out cannot be given as nothing in TOML
        return _value(parts[0], given, name)
    if dataclasses.is_dataclass(wanted) and isinstance(given, Mapping):
        return fill(typing.cast("type[Any]", wanted), given, f"{name}.")
    if origin is dict and isinstance(given, dict):
        return {key: _value(parts[1], each, f"{name}.{key}") for key, each in given.items()}
    if origin is tuple and isinstance(given, list):
        return tuple(_value(parts[0], each, name) for each in given)
    if wanted is float and isinstance(given, int) and not isinstance(given, bool):
        return float(given)
    simple = wanted if isinstance(wanted, type) else types.NoneType
    if type(given) is simple:
        return given
    readable = getattr(wanted, "__name__", str(wanted))
    raise ValueError(f"{name} must be of type {readable}, not {given!r}")
