"""Which words of a transcript may be meant for each slot of a template."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz, process

from assistant.alike import Alike
from assistant.slots import SlotType

FILLS = 4
"""Values of one slot that are tried."""
FRAME_RATIO = 75.0
"""How alike the words around a free text must be: anything at all may stand in the text."""


class Kinds:
    """The kinds of slots of some templates; their values are compared all at once."""

    def __init__(self, kinds: Iterable[SlotType]) -> None:
        self._kinds = list({id(kind): kind for kind in kinds}.values())
        self._patterns = [re.compile(rf"\b(?:{kind.pattern})") for kind in self._kinds]
        values = [" ".join(said.split()) for kind in self._kinds for said in kind.values]
        counts = [len(kind.values) for kind in self._kinds]
        self._values = np.array(values, object)  # [V]
        lengths = np.array([len(value) for value in values], np.float64)  # [V]
        self._length = lengths / (1 + lengths.max(initial=0.0))  # [V], each less than 1
        kind_of = np.repeat(np.arange(len(counts)), counts)  # [V]
        self._apart = kind_of * 1000.0  # so that kinds stay apart when sorted by ratios
        first = np.cumsum([0, *counts[:-1]])[kind_of]
        self._dozen = np.flatnonzero(np.arange(len(values)) - first < 3 * FILLS)
        self._ends = np.cumsum([0, *(min(count, 3 * FILLS) for count in counts)]).tolist()
        different, self._which = np.unique(self._values, return_inverse=True)
        self._alike = Alike(different.tolist())

    def likely(self, key: str) -> dict[int, list[str]]:
        """Give likely values of each kind, by its `id`; `key` is in `spoken.key` form.

        Those that are in `key` as they stand come first, the longest before the others, then those
        that sound like a part of it.
        """
        similar = self._similar(key) if self._kinds else []
        likely = {}
        for kind, pattern, values in zip(self._kinds, self._patterns, similar, strict=True):
            spans = [found[0] for found in pattern.finditer(key)]
            if spans:
                spans = [span for span in spans if _reads(kind, span)]
                spans.sort(key=len, reverse=True)
            likely[id(kind)] = list(dict.fromkeys(spans + values))[:FILLS]
        return likely

    def _similar(self, key: str) -> list[list[str]]:
        """Values of each kind, best first: of the best dozen by sound the longest of the best."""
        ratios = self._alike.ratios(key)[self._which]  # [V]
        best = np.argsort(self._apart - ratios, kind="stable")[self._dozen]
        rank = self._apart[best] - np.rint(ratios[best]) - self._length[best]
        best = best[np.argsort(rank, kind="stable")]
        values = self._values[best].tolist()
        return [values[begin:end] for begin, end in itertools.pairwise(self._ends)]


class Frame:
    """What stands at one side of some free texts."""

    def __init__(self, words: list[str], counts: NDArray[np.intp]) -> None:
        self._words, self._counts = words, counts

    @classmethod
    def of(cls, sides: Sequence[str]) -> Self:
        """Count the words of each."""
        words = [side.strip() for side in sides]
        return cls(words, np.array([_count(side) for side in words], np.intp))

    def __add__(self, more: "Frame") -> "Frame":
        """Join two."""
        return Frame(self._words + more._words, np.concatenate((self._counts, more._counts)))

    def fitting(self, heard: Sequence[str]) -> NDArray[np.intp]:
        """How many words each has; -1 if it is nothing like that many of those `heard`."""
        there = [heard[count] for count in np.minimum(self._counts, len(heard) - 1).tolist()]
        ratios = process.cpdist(there, self._words, scorer=fuzz.ratio, score_cutoff=FRAME_RATIO)
        return np.where(ratios > 0, self._counts, -1)


class Heard:
    """One transcript (`spoken.normalise` form), and what it makes likely for each slot."""

    def __init__(self, text: str, kinds: Kinds) -> None:
        self.text = text
        self.words = text.split()
        self._likely = kinds.likely(text.replace("'", ""))
        count = len(self.words)
        self._heads = [" ".join(self.words[:place]) for place in range(count + 1)]
        self._tails = [" ".join(self.words[count - place :]) for place in range(count + 1)]
        self._starts: dict[str, int] = {}
        self._ends: dict[str, int] = {}

    def likely(self, kind: SlotType) -> list[str]:
        """Values of a slot, likeliest first; never empty."""
        return self._likely[id(kind)]

    def likeliest(self, slots: Mapping[str, SlotType]) -> dict[str, str]:
        """Say what was likeliest said for each slot."""
        return {name: self._likely[id(kind)][0] for name, kind in slots.items()}

    def starts(self, sides: Frame) -> NDArray[np.intp]:
        """Say where a free text begins after each side; -1 if other words were heard there."""
        return sides.fitting(self._heads)

    def ends(self, sides: Frame) -> NDArray[np.intp]:
        """Say where a free text ends before each side; -1 if other words were heard there."""
        counts = sides.fitting(self._tails)
        return np.where(counts < 0, -1, len(self.words) - counts)

    def between(self, before: str, after: str) -> str:
        """Give the free text between two sides; empty if other words were heard around it."""
        if before not in self._starts:
            self._starts[before] = _fit(before, self._heads)
        if after not in self._ends:
            self._ends[after] = _fit(after, self._tails)
        start, tail = self._starts[before], self._ends[after]
        if start < 0 or tail < 0:
            return ""
        return " ".join(self.words[start : max(start, len(self.words) - tail)])


def _fit(side: str, heard: Sequence[str]) -> int:
    """Do what `Frame.fitting` does, for one."""
    words = side.strip()
    count = _count(words)
    there = heard[min(len(heard) - 1, count)]
    return count if fuzz.ratio(there, words, score_cutoff=FRAME_RATIO) > 0 else -1


def _count(words: str) -> int:
    return words.count(" ") + 1 if words else 0


def _reads(kind: SlotType, words: str) -> bool:
    try:
        kind.parse(words)
    except Exception:  # noqa: BLE001 - a plugin's converter may raise anything
        return False
    return True
