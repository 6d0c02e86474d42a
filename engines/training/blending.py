"""The mean of two encoders, one of which began as the other: it hears more people than either.

What is learned last, from the voices at hand, is learned at the expense of what was known before;
half-way between both, most of either is there. Source: Wortsman et al. 2022 (arXiv 2109.01903).
"""

import os
import shutil
from pathlib import Path

from torch import Tensor

from engines.training.optimisers import Optimisers
from engines.training.recipe import fresh_speller
from engines.training.runs import read_left
from engines.training.saving import load_weights, save

UNBLENDED = "encoder.unblended.pt"
"""What the run's encoder was before, so that another share can be tried."""


def blend(run: Path, other: Path, share: float) -> None:
    """Give the encoder of `run` the weights (1 - share) of its own + share of those of `other`.

    Its own are those that it had before the first blending. Raises `RunError` for a run without an
    encoder and `CheckpointMismatchError` for encoders of two shapes.
    """
    speller, shares = fresh_speller(run)
    before = run / UNBLENDED if (run / UNBLENDED).is_file() else run / "encoder.pt"
    left = [(read_left(path, "encoder"), path) for path in (before, other / "encoder.pt")]
    for state, path in left:
        load_weights(speller, state["model"], path)
    ours, theirs = (state["model"] for state, _ in left)
    load_weights(speller, {name: _mean(ours[name], theirs[name], share) for name in ours}, before)
    steps = sum(int(state["step"]) for state, _ in left)
    if before.name != UNBLENDED:
        half = run / f"{UNBLENDED}.half"
        shutil.copyfile(before, half)
        os.replace(half, run / UNBLENDED)
    save(run / "encoder.pt", "encoder", speller, Optimisers(speller, shares=shares), steps)


def _mean(ours: Tensor, theirs: Tensor, share: float) -> Tensor:
    return (1 - share) * ours + share * theirs
