"""Audio-instruction pairs in the published schema, as `assistant train pairs` writes them."""

import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engines.prompts import TRANSCRIBE

Stage = Literal["align", "instruct"]


class PairsError(ValueError):
    """A file of pairs that cannot be trained on; the message names it and the remedy."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One recording, what is asked about it, and what is to be answered."""

    audio: Path
    instruction: str
    target: str


@dataclass(frozen=True, slots=True)
class Pairs:
    """What a file holds, and what of it is of no use."""

    kept: list[Pair]
    dropped: Counter[str]
    """How many lines were left out, by the reason."""

    @property
    def fingerprint(self) -> int:
        """A number that other pairs, or the same in another order, would not have."""
        value = 0
        for pair in self.kept:
            value = zlib.crc32(f"{pair.audio}\0{pair.instruction}\0{pair.target}".encode(), value)
        return value


def read_pairs(path: Path, stage: Stage, longest_s: float) -> Pairs:
    """Read a file of JSON lines, or of one JSON list as the reference has it.

    `align` takes each recording once, with its `transcription`; `instruct` takes each `input` and
    `target`. Files are looked for as they are named, then beside the file of pairs. Left out and
    counted are lines that are no pair, recordings that are not there, and those over `longest_s`.
    Raises `PairsError` for a file that cannot be read and for one that has nothing left.
    """
    kept: list[Pair] = []
    dropped: Counter[str] = Counter()
    for row in _rows(path):
        pair, reason = _pair(row, path.parent, stage, longest_s)
        if pair is None:
            dropped[reason] += 1
        else:
            kept.append(pair)
    if stage == "align":
        kept = list({pair.audio: pair for pair in kept}.values())
    if not kept:
        why = ", ".join(f"{count} {reason}" for reason, count in dropped.items()) or "it is empty"
        raise PairsError(
            f"{path}: no pair to learn from ({why}); write some with: assistant train pairs"
        )
    return Pairs(kept, dropped)


def _rows(path: Path) -> Iterator[object]:
    """Parse line by line; a line that is not JSON comes out as nothing."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise PairsError(
            f"{path}: {reason}; write the pairs with: assistant train pairs"
        ) from error
    if text.lstrip().startswith("["):
        try:
            yield from json.loads(text)
        except ValueError as error:
            raise PairsError(f"{path}: {error}; write the pairs again") from error
        return
    for line in text.splitlines():
        try:
            if line.strip():
                yield json.loads(line)
        except ValueError:
            yield None


def _pair(row: object, beside: Path, stage: Stage, longest_s: float) -> tuple[Pair | None, str]:
    """The pair of a row, or none and the reason."""
    if not isinstance(row, Mapping):
        return None, "not a pair"
    asked, target = TRANSCRIBE, row.get("transcription")
    if stage == "instruct":
        asked, target = row.get("input", ""), row.get("target")
    named = row.get("audio_filepath")
    if not isinstance(named, str) or not isinstance(asked, str) or not _said(target):
        return None, "without audio_filepath, instruction or target"
    seconds = row.get("duration")
    if isinstance(seconds, int | float) and seconds > longest_s:
        return None, f"longer than {longest_s:g} s"
    for audio in (Path(named), beside / named):
        if audio.is_file():
            return Pair(audio.resolve(), asked, str(target)), ""
    return None, "without the recording"


def _said(text: Any) -> bool:
    return isinstance(text, str) and bool(text.strip())
