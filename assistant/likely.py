"""Which words of a transcript may be meant for each slot of a template."""

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from rapidfuzz import fuzz, process

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
        self._lengths = np.array([len(value) for value in values], np.intp)  # [V]
        self._kind_of = np.repeat(np.arange(len(counts)), counts)  # [V]
        self._first_of = np.cumsum([0, *counts[:-1]])  # [K]
        self._different, self._which = np.unique(self._values, return_inverse=True)

    def likely(self, key: str) -> dict[int, list[str]]:
        """Give likely values of each kind, by its `id`; `key` is in `spoken.key` form.

        Those that are in `key` as they stand come first, the longest before the others, then those
        that sound like a part of it.
        """
        similar = self._similar(key) if self._kinds else []
        likely = {}
        for kind, pattern, values in zip(self._kinds, self._patterns, similar, strict=True):
            spans = [found[0] for found in pattern.finditer(key)]
            exact = sorted((span for span in spans if _reads(kind, span)), key=len, reverse=True)
            likely[id(kind)] = list(dict.fromkeys([*exact, *values]))[:FILLS]
        return likely

    def _similar(self, key: str) -> list[list[str]]:
        """Values of each kind, best first: of the best dozen by sound the longest of the best."""
        ratios = process.cdist([key], self._different, scorer=fuzz.partial_ratio, dtype=np.float64)[
            0
        ][self._which]  # [V]
        order = np.lexsort((-ratios, self._kind_of))
        rank = np.arange(len(order)) - self._first_of[self._kind_of]
        best = order[rank < 3 * FILLS]
        best = best[np.lexsort((-self._lengths[best], -np.rint(ratios[best]), self._kind_of[best]))]
        ends = np.searchsorted(self._kind_of[best], np.arange(1, len(self._kinds)))
        return [part.tolist() for part in np.split(self._values[best], ends)]


class Heard:
    """One transcript (`spoken.normalise` form), and what it makes likely for each slot."""

    def __init__(self, text: str, kinds: Kinds) -> None:
        self.text = text
        self.words = text.split()
        self._likely = kinds.likely(text.replace("'", ""))
        count = len(self.words)
        self._heads = [" ".join(self.words[:place]) for place in range(count + 1)]
        self._tails = [" ".join(self.words[count - place :]) for place in range(count + 1)]
        self._starts: dict[str, int | None] = {}
        self._ends: dict[str, int | None] = {}

    def likely(self, kind: SlotType) -> list[str]:
        """Values of a slot, likeliest first; never empty."""
        return self._likely[id(kind)]

    def likeliest(self, slots: Mapping[str, SlotType]) -> dict[str, str]:
        """Say what was likeliest said for each slot."""
        return {name: self._likely[id(kind)][0] for name, kind in slots.items()}

    def starts(self, sides: Sequence[str]) -> list[int | None]:
        """Say where a free text begins after each side; None if other words were heard there."""
        return _fitting(sides, self._heads)

    def ends(self, sides: Sequence[str]) -> list[int | None]:
        """Say where a free text ends before each side; None if other words were heard there."""
        last = len(self.words)
        counts = _fitting(sides, self._tails)
        return [None if count is None else last - count for count in counts]

    def between(self, before: str, after: str) -> str:
        """Give the free text between two sides; empty if other words were heard around it."""
        if before not in self._starts:
            [self._starts[before]] = self.starts([before])
        if after not in self._ends:
            [self._ends[after]] = self.ends([after])
        start, end = self._starts[before], self._ends[after]
        return "" if start is None or end is None else " ".join(self.words[start : max(start, end)])


def _fitting(sides: Sequence[str], heard: Sequence[str]) -> list[int | None]:
    """Count the words of each side; None if it is nothing like that many of those `heard`."""
    words = [side.strip() for side in sides]
    counts = [side.count(" ") + 1 if side else 0 for side in words]
    most, ratio = len(heard) - 1, fuzz.ratio
    there = [heard[min(most, count)] for count in counts]
    return [
        count if left == right or ratio(left, right, score_cutoff=FRAME_RATIO) > 0 else None
        for count, left, right in zip(counts, there, words, strict=True)
    ]


def _reads(kind: SlotType, words: str) -> bool:
    try:
        kind.parse(words)
    except Exception:  # noqa: BLE001 - a plugin's converter may raise anything
        return False
    return True
