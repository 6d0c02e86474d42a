"""Rows as JSON lines or as one JSON list, with the sounds in files beside them."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from engines.evaluation.benchmarks import paths
from engines.evaluation.benchmarks.items import BenchmarkError, Sound


def check(path: Path, columns: tuple[str, ...]) -> int:
    """How many rows a file has; raises `BenchmarkError` for one without sound or `columns`."""
    count = 0
    for number, row in records(path):
        _complete(path, number, row, columns)
        count += 1
    if not count:
        raise BenchmarkError(f"{path} holds no rows; download it again")
    return count


def rows(
    path: Path,
    wanted: Callable[[int], bool],
    root: Path,
    columns: tuple[str, ...],
    *,
    sound: bool,
) -> Iterator[tuple[int, Mapping[str, Any], Sound]]:
    """Place, columns and sound of each wanted row."""
    for place, (number, row) in enumerate(records(path)):
        if wanted(place):
            _complete(path, number, row, columns)
            kept = {name: value for name, value in row.items() if name != "audio"}
            yield place, kept, paths.sound_of(row, root) if sound else None


def records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each object of a file and the number of its line or place; raises `BenchmarkError`."""
    try:
        with path.open(encoding="utf-8") as file:
            whole = file.read(1) == "["
            file.seek(0)
            found = enumerate(json.load(file), 1) if whole else _lines(path, file)
            for number, row in found:
                if not isinstance(row, dict):
                    raise BenchmarkError(f"{path}, row {number}: no JSON object")
                yield number, row
    except (OSError, ValueError) as error:
        if isinstance(error, BenchmarkError):
            raise
        raise BenchmarkError(f"{path} cannot be read: {error}") from error


def _lines(path: Path, file: Any) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except ValueError as error:
            raise BenchmarkError(f"{path}, line {number}: not JSON ({error})") from error


def _complete(path: Path, number: int, row: Mapping[str, Any], columns: tuple[str, ...]) -> None:
    lacking = [name for name in columns if name not in row]
    if lacking:
        raise BenchmarkError(
            f"{path}, row {number} has no {', '.join(lacking)}; is it another benchmark's?"
        )
    if not any(row.get(name) for name in paths.COLUMNS):
        raise BenchmarkError(f"{path}, row {number} names no audio file")
