"""MMAU as it lies on the hub: half of a row's columns packed into one, as JSON."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from engines.evaluation.benchmarks.items import BenchmarkError

_PACKED = "other_attributes"
_RENAMED = {"instruction": "question"}
_WITHIN = ("id", "task", "difficulty")


def names(columns: Iterable[str]) -> set[str]:
    """The columns that rows have when they are unpacked."""
    found = set(columns)
    if _PACKED not in found:
        return found
    return {_RENAMED.get(name, name) for name in found - {_PACKED}} | set(_WITHIN)


def unpacked(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row with all its columns; one that is not packed as it is.

    Raises `ValueError` for what is no JSON, `BenchmarkError`, which is one, for what is no table.
    """
    if _PACKED not in row:
        return row
    packed = row[_PACKED]
    within = json.loads(packed) if isinstance(packed, str) else packed
    if not isinstance(within, dict):
        raise BenchmarkError(f"{_PACKED} is no table")
    plain = {_RENAMED.get(name, name): value for name, value in row.items() if name != _PACKED}
    return {**{name: _single(value) for name, value in within.items()}, **plain}


def _single(value: Any) -> Any:
    """A list of one, as some rows have, is the one."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value
