"""What a sound spells by itself, frame by frame, and how well a text fits it.

The language model writes fluent words even where it heard little; CTC (Graves et al. 2006) writes
what was said, however odd. Held against each other they tell when the fluent words were made up.
"""

from collections.abc import Sequence

from engines.lattice import LatticeBuilder
from engines.schedule import Floats


def pieces_of(log_probability: Floats, blank: int) -> list[int]:
    """The likeliest piece of every frame of [S, V], repeats and blanks dropped."""
    best = log_probability.argmax(1).tolist()
    return [
        piece
        for piece, before in zip(best, [blank, *best], strict=False)
        if piece not in (blank, before)
    ]


def misfit(log_probability: Floats, blank: int, pieces: Sequence[int]) -> float:
    """How much less probable a text is than the freest reading, in log-probability a piece.

    0 for what the frames of [S, V] spell; infinite for what does not fit into them.
    """
    builder = LatticeBuilder(lambda _: pieces)
    start, end = builder.state(), builder.state()
    builder.start(start)
    builder.word(start, end, "")
    builder.accept(end, 0)
    paths = builder.build().search(log_probability, blank, 1)
    if not paths:
        return float("inf")
    return (float(log_probability.max(1).sum()) - paths[0].total) / len(pieces)
