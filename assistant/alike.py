"""How alike many values are to parts of one text: `fuzz.partial_ratio`, many times at once.

A value is held against every part of the text that is as long as it, and against the shorter ones
at both ends. Values of one length share their parts, and are compared in one call.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz, process

_FEW = 8
"""So few values of one length are better compared one by one."""


class Alike:
    """Some values, made ready once to be found in many texts."""

    def __init__(self, values: Sequence[str]) -> None:
        self._count = len(values)
        places: dict[int, list[int]] = {}
        for place, value in enumerate(values):
            places.setdefault(len(value), []).append(place)
        many = {size: some for size, some in places.items() if size > 1 and len(some) >= _FEW}
        self._groups = [
            (size, np.array(some, np.intp), [values[place] for place in some])
            for size, some in many.items()
        ]
        others = [place for size, some in places.items() if size not in many for place in some]
        self._others = np.array(others, np.intp), [values[place] for place in others]

    def ratios(self, text: str) -> NDArray[np.float64]:
        """What `fuzz.partial_ratio` gives for each value and `text`, 0 to 100: [V]."""
        found = np.empty(self._count)
        heads = [text[:length] for length in range(1, len(text))]
        tails = [text[-length:] for length in range(1, len(text))]
        for size, places, values in self._groups:
            if size >= len(text):
                found[places] = _one_by_one(text, values)
                continue
            whole = [text[begin : begin + size] for begin in range(len(text) - size + 1)]
            parts = whole + heads[: size - 1] + tails[: size - 1]
            found[places] = process.cdist(parts, values, scorer=fuzz.ratio, dtype=np.float64).max(0)
        places, values = self._others
        if values:
            found[places] = _one_by_one(text, values)
        return found


def _one_by_one(text: str, values: Sequence[str]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = process.cdist(
        [text], values, scorer=fuzz.partial_ratio, dtype=np.float64
    )[0]
    return found
