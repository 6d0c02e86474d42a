"""Confidence intervals by the bootstrap."""

from collections.abc import Sequence

import numpy as np

ROUNDS = 1000


def interval(counts: Sequence[tuple[str, float, float]], *, seed: int = 0) -> list[float]:
    """The 95 % interval of a ratio of sums, from (speaker, numerator, denominator) of each clip.

    Speakers are drawn whole where there are several, since the clips of one are alike.
    """
    speakers = {speaker for speaker, _, _ in counts}
    units: dict[object, list[float]] = {}
    for number, (speaker, top, bottom) in enumerate(counts):
        unit = units.setdefault(speaker if len(speakers) > 4 else number, [0.0, 0.0])
        unit[0] += top
        unit[1] += bottom
    if not units:
        return [0.0, 0.0]
    sums = np.array(list(units.values()))  # [units, 2]
    rng = np.random.default_rng(seed)
    drawn = sums[rng.integers(len(sums), size=(ROUNDS, len(sums)))].sum(axis=1)  # [rounds, 2]
    low, high = np.quantile(drawn[:, 0] / np.maximum(drawn[:, 1], 1e-9), [0.025, 0.975])
    return [round(float(low), 4), round(float(high), 4)]
