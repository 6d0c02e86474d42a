"""What a sound spells by itself, frame by frame (CTC, Graves et al. 2006)."""

from engines.schedule import Floats


def pieces_of(log_probability: Floats, blank: int) -> list[int]:
    """The likeliest piece of every frame of [S, V], repeats and blanks dropped."""
    best = log_probability.argmax(1).tolist()
    return [
        piece
        for piece, before in zip(best, [blank, *best], strict=False)
        if piece not in (blank, before)
    ]
