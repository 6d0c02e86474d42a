"""A plugin's own small memory: a JSON file that survives restarts."""

import json
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import structlog

MAX_BYTES = 262_144
"""Largest store of one plugin."""

_log = structlog.get_logger(__name__)


class Store(MutableMapping[str, Any]):
    """A dictionary of JSON values; every assignment is on the disk when it returns.

    The file is replaced as a whole, so a crash leaves either the old or the new content. Values
    are copies: changing one in place changes nothing until it is assigned again. Raises
    `ValueError` for what JSON cannot hold and for more than `MAX_BYTES`, `OSError` for a disk
    that refuses.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values: dict[str, str] | None = None

    def __getitem__(self, name: str) -> Any:
        return json.loads(self._load()[name])

    def __setitem__(self, name: str, value: Any) -> None:
        try:
            text = json.dumps(value, allow_nan=False)
        except TypeError as error:
            raise ValueError(f"the store cannot hold {name!r}: {error}") from error
        self._save({**self._load(), name: text})

    def __delitem__(self, name: str) -> None:
        values = dict(self._load())
        del values[name]
        self._save(values)

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __len__(self) -> int:
        return len(self._load())

    def _load(self) -> dict[str, str]:
        if self._values is None:
            self._values = {name: json.dumps(value) for name, value in self._read().items()}
        return self._values

    def _read(self) -> dict[str, Any]:
        try:
            values = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            broken = self._path.with_suffix(".broken")
            _log.warning("plugin store unreadable", moved_to=str(broken), reason=str(error))
            self._path.replace(broken)
            return {}
        return values if isinstance(values, dict) else {}

    def _save(self, values: dict[str, str]) -> None:
        text = "{" + ", ".join(f"{json.dumps(k)}: {v}" for k, v in values.items()) + "}"
        if len(text.encode()) > MAX_BYTES:
            raise ValueError(f"the store {self._path.name} would be larger than {MAX_BYTES} bytes")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".new")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(self._path)
        self._values = values
