"""Finished work, one JSON line each: what is in the file survives a kill, a torn line does not."""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from engines.evaluation.benchmarks.items import BenchmarkError


class Journal:
    """An append-only file that one process at a time writes."""

    def __init__(self, path: Path) -> None:
        """Open to append, cutting a last line that a kill left half written.

        Raises `BenchmarkError` while another process writes it.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = path.open("ab", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise BenchmarkError(
                f"{path}: another run is writing it; wait for it, or name another --out"
            ) from error
        self._cut()

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write lines, and return when they are on the disk; raises `OSError` when it is full."""
        lines = "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
        left = memoryview(lines.encode())
        while left:
            left = left[self._file.write(left) :]
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Let others write."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _cut(self) -> None:
        whole = 0
        with self._path.open("rb") as file:
            for line in file:
                whole += len(line) if line.endswith(b"\n") else 0
        self._file.truncate(whole)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a journal; raises `BenchmarkError` for one that is damaged."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    return
                yield _parse(path, number, line)
    except FileNotFoundError:
        return


def _parse(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise BenchmarkError(
            f"{path}, line {number}: damaged ({error}); remove that line and run again"
        ) from error
    if not isinstance(row, dict):
        raise BenchmarkError(f"{path}, line {number}: no object; remove that line and run again")
    return row


def write_whole(path: Path, lines: Iterable[str]) -> None:
    """Write a text file that appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
