"""What a manifest of recordings says, line by line; whoever wrote it may have erred."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.training.text import spoken


@dataclass(frozen=True, slots=True)
class Recorded:
    """One line of a manifest."""

    file: str
    """Relative to the manifest."""
    text: str
    """Words as said; empty where they are not known."""
    speaker: str
    kind: str
    """`read`, or what else the words are; those that begin with `prompt` are unchecked."""
    seconds: float
    """0 where it is not told."""
    source: str
    about: dict[str, str]
    """What is told of the speaker: age, gender, accent, pace."""


def read_recordings(manifest: Path) -> tuple[list[Recorded], int]:
    """The lines that can be used, and how many cannot; raises `OSError` for no file."""
    found, malformed = [], 0
    for line in manifest.read_bytes().splitlines():
        if not line.strip():
            continue
        try:
            found.append(_recorded(json.loads(line)))
        except (ValueError, LookupError, TypeError):
            malformed += 1
    return found, malformed


def _recorded(row: Any) -> Recorded:
    if not isinstance(row, dict):
        raise TypeError("no table")
    file, seconds = _words(row, "file"), row.get("seconds") or 0.0
    if not file or isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError("no file, or a length that is no number")
    return Recorded(
        file=file,
        text=spoken(_words(row, "text")),
        speaker=_words(row, "speaker") or "unknown",
        kind=_words(row, "kind") or "read",
        seconds=float(seconds),
        source=_words(row, "source") or file.partition("/")[0],
        about={key: str(row[key]) for key in ("gender", "accent", "age", "pace") if row.get(key)},
    )


def _words(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(f"{key} must be a text")
    return value
