"""Where the sounds are that a row only names.

Published rows name files as they lay on their authors' machines; what is looked for is below the
data folder, and nothing outside it is ever opened.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

COLUMNS = ("audio", "audio_path", "audio_id", "file", "path")
"""Columns that may name a file, in the order they are asked."""


def sound_of(row: Mapping[str, Any], root: Path) -> Path | None:
    """The file that a row names, whether it is there or not; None when it names none."""
    for column in COLUMNS:
        value = row.get(column)
        if isinstance(value, dict):
            value = value.get("path")
        if isinstance(value, str) and value:
            return resolve(value, root)
    return None


def resolve(name: str, root: Path) -> Path:
    """The file below `root` that `name` means: by as much of its path as is found there."""
    parts = [part for part in Path(name).parts if part not in {"/", ".", ".."}]
    for start in range(len(parts)):
        found = root.joinpath(*parts[start:])
        if found.is_file():
            return found
    return _by_name(root).get(parts[-1] if parts else "", root.joinpath(*parts))


@lru_cache(2)
def _by_name(root: Path) -> Mapping[str, Path]:
    """Every file below a folder by its name; a name that is there twice means neither."""
    found: dict[str, Path | None] = {}
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() in {".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a"}:
            found[path.name] = None if path.name in found else path
    return {name: path for name, path in found.items() if path is not None}
