"""What goes through a benchmark: an item, its sound, and the answer to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Wave = NDArray[np.float32]
"""Mono samples at 16 kHz in -1..1, [samples]."""

Sound = bytes | Path | None
"""A recording as it was distributed: an audio file's bytes, its path, or nothing at all."""


class BenchmarkError(ValueError):
    """Something a person can mend; the message names the file or address and the remedy."""


@dataclass(frozen=True, slots=True)
class Item:
    """One recording and its question."""

    subset: str
    split: str
    index: int
    """Place in the split, from 0."""
    row: Mapping[str, Any]
    """The published columns, but for the sound."""
    sound: Sound = None

    @property
    def key(self) -> str:
        """What the item is known by in every file of a run."""
        return f"{self.subset}/{self.split}/{self.index}"


@dataclass(frozen=True, slots=True)
class Heard:
    """An item whose sound was decoded, or why it could not be."""

    item: Item
    wave: Wave | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The response to one item, and what it cost."""

    key: str
    response: str
    error: str = ""
    """Why there is no response: the item counts as wrong."""
    audio_s: float = 0.0
    """Length of the recording as it was heard."""
    cut: bool = False
    """The recording was longer than the model takes."""
    took_s: float = 0.0
    """From the start of encoding to the last token, in a batch with others."""
    first_s: float = 0.0
    """From the start of encoding to the first block or word that could be shown."""
    passes: int = 0
    tokens: int = 0
    transcript: str = ""
    """What a cascade's recogniser heard."""
