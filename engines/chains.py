"""Words as chains of pieces, all of them followed through a spelling at once.

CTC (Graves et al. 2006) gives the probability of every piece in every frame. A word is said when
its pieces are, one after the other, each for a frame or longer, with or without blanks between
them. Which words may follow which, and at what price, is up to the caller.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from engines.schedule import Floats

ANYTHING = -1
"""Label of a position that takes any pieces, blanks included."""
WILD_COST = 0.15
"""Log-probability that each frame of free text costs, so that known words win over it."""
NEVER = np.float32(-1e9)
"""Score of what cannot be."""

Ints = NDArray[np.int64]
Arrivals = Callable[[float, Floats], Floats]
"""From the score of nothing but silence so far, and of having just ended each word [W], to the
score with which each word can begin [W]."""


def in_turn(quiet: float, ended: Floats) -> Floats:
    """Arrivals of words that are all said, each after the one before."""
    return np.concatenate([[np.float32(quiet)], ended[:-1]]).astype(np.float32)


def doubting(log_probability: Floats, blank: int, cost: float) -> Floats:
    """The same [S, V] with blanks that cost more than the ear says.

    Of a word that it hardly knows an ear says nothing rather than something wrong, so that without
    a price on saying nothing a sentence would win over the same with that word in it.
    """
    doubted = log_probability.copy()
    doubted[:, blank] -= np.float32(cost)
    return doubted


@dataclass(frozen=True, slots=True)
class Chains:
    """Some words, laid end to end."""

    labels: Ints
    """Piece of each position, or `ANYTHING`: [N]."""
    first: Ints
    """Each word's first position: [W]."""
    last: Ints
    """Each word's last position: [W]."""

    @classmethod
    def of(cls, words: Sequence[Sequence[int]]) -> Self:
        """Lay out words of at least one piece each."""
        last = np.cumsum([len(pieces) for pieces in words], dtype=np.int64) - 1
        labels = np.array([piece for pieces in words for piece in pieces], np.int64)
        return cls(labels, np.concatenate([[0], last[:-1] + 1]).astype(np.int64)[: len(last)], last)

    @property
    def sizes(self) -> Ints:
        """How many pieces each word has: [W]."""
        return self.last - self.first + 1

    def some(self, which: Ints) -> "Chains":
        """Lay out only the words `which`, in that order."""
        sizes = self.sizes[which]
        last = np.cumsum(sizes) - 1
        first = last - sizes + 1
        places = np.arange(sizes.sum()) + np.repeat(self.first[which] - first, sizes)
        return Chains(self.labels[places], first, last)

    def fit(self, log_probability: Floats) -> Floats:
        """How near the sound comes to each word's pieces, wherever that is: [W], 0 at the best.

        Summed over a word's pieces; free text fits anything.
        """
        gaps = (log_probability - log_probability.max(1, keepdims=True)).max(0)  # [V]
        gaps = np.append(gaps, np.float32(0.0))  # for free text, whose label is the last
        fit: Floats = np.add.reduceat(gaps[self.labels], self.first)
        return fit

    def follow(
        self,
        log_probability: Floats,
        blank: int,
        arrivals: Arrivals,
        freest: Floats | None = None,
    ) -> "Trellis":
        """Find the best score of being anywhere after each frame of [S, V].

        Free text scores, but for `WILD_COST`, as the `freest` reading of each frame does, [S];
        by default that is the most probable one.
        """
        if freest is None:
            freest = log_probability.max(1)
        frames = len(log_probability)
        emitted = log_probability[:, self.labels]  # [S, N]
        emitted[:, self.labels == ANYTHING] = freest[:, None] - WILD_COST
        silence = log_probability[:, blank]
        repeats = self._repeats()
        trellis = Trellis.of(self, frames, silence)
        for frame in range(frames):
            taken, passed = trellis.taken[frame], trellis.passed[frame]
            best = np.maximum(taken, passed)
            trellis.arrived[frame] = arrivals(float(trellis.quiet[frame]), best[self.last])
            entered = trellis.taken[frame + 1]
            entered[1:] = best[:-1]
            # the same piece twice needs a blank between, or it would be one
            entered[repeats] = passed[repeats - 1]
            entered[self.first] = trellis.arrived[frame]
            np.maximum(entered, taken, out=entered)
            entered += emitted[frame]
            np.add(best, silence[frame], out=trellis.passed[frame + 1])
        return trellis

    def aligned(self, words: Sequence[int], log_probability: Floats, blank: int) -> float:
        """Log-probability of the best alignment of [S, V] with some words, one after the other."""
        trellis = self.some(np.array(words)).follow(log_probability, blank, in_turn)
        return float(trellis.ended(trellis.frames)[-1])

    def _repeats(self) -> Ints:
        """Positions inside a word whose piece is that of the position before."""
        same = np.flatnonzero(self.labels[1:] == self.labels[:-1]) + 1
        return np.setdiff1d(same, self.first)


@dataclass(frozen=True, slots=True)
class Trellis:
    """Best scores after each number of frames."""

    chains: Chains
    taken: Floats
    """Having just taken a position's piece: [S + 1, N]."""
    passed: Floats
    """With blanks after it: [S + 1, N]."""
    quiet: Floats
    """With nothing but blanks so far: [S + 1]."""
    arrived: Floats
    """With each word beginning now: [S, W]."""

    @classmethod
    def of(cls, chains: Chains, frames: int, silence: Floats) -> Self:
        """Before the first frame."""
        shape = (frames + 1, len(chains.labels))
        return cls(
            chains,
            np.full(shape, NEVER, np.float32),
            np.full(shape, NEVER, np.float32),
            np.concatenate([[0.0], silence.cumsum()]).astype(np.float32),
            np.full((frames, len(chains.first)), NEVER, np.float32),
        )

    @property
    def frames(self) -> int:
        """S."""
        return len(self.arrived)

    def ended(self, after: int) -> Floats:
        """Scores of having ended each word after so many frames: [W]."""
        last = self.chains.last
        best: Floats = np.maximum(self.taken[after, last], self.passed[after, last])
        return best

    def span(self, word: int, after: int) -> tuple[int, int]:
        """Find the frames, begin and end, of a word that has ended after so many frames.

        On the best way there; the silence behind the word is not counted.
        """
        position, frame, spaced, end = int(self.chains.last[word]), after, False, 0
        while True:
            while spaced or self.passed[frame, position] > self.taken[frame, position]:
                frame, spaced = frame - 1, False
            end = end or frame
            repeats = self._repeats(word, position)
            while self.taken[frame - 1, position] > self._entered(word, position, frame, repeats):
                frame -= 1
            if position == self.chains.first[word]:
                return frame - 1, end
            frame, position, spaced = frame - 1, position - 1, repeats

    def _repeats(self, word: int, position: int) -> bool:
        labels = self.chains.labels
        inside = position > self.chains.first[word]
        return bool(inside and labels[position] == labels[position - 1])

    def _entered(self, word: int, position: int, frame: int, repeats: bool) -> float:
        """With what score a position could be entered in a frame, counted from one."""
        if position == self.chains.first[word]:
            return float(self.arrived[frame - 1, word])
        spaced = float(self.passed[frame - 1, position - 1])
        return spaced if repeats else max(spaced, float(self.taken[frame - 1, position - 1]))
