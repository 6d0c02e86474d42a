"""Reads a spelling as words: of all sentences over a vocabulary, the likeliest.

What CTC spells frame by frame is full of near misses: "kitshen lite". Here every word of a
vocabulary is weighed against the sound, together with how often it follows the word before: a
bigram model that backs off to single words (Katz 1987), smoothed by absolute discounting (Ney,
Essen and Kneser 1994). The search is exact: one Viterbi pass, in numpy.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from engines.chains import NEVER, Chains, Ints, Trellis, doubting
from engines.schedule import Floats

WEIGHT = 0.5
"""What a log-probability of words counts beside one of the sound: frames are not independent."""
COST = 1.0
"""What each word costs. Measured: of synthetic voices' words 5.3 in 100 wrong, and 5.6 with 0.4 and
0.5 for these two; of people's 23.4 and 24.6."""
SILENCE_COST = 2.0
"""Log-probability that each frame without a piece costs more than the ear says; see
`engines.chains.doubting`. Measured: 49.9 in 100 words of people wrong with a bonus for each word in
place of both costs, 48.3 with them; 28.1 and 25.2 of synthetic voices."""
LEAST_HEARD = 1.0
"""How much more probable than silence, in log-probability a piece, words have to be: less sure are
mostly noise, and hardly ever speech."""
SHORTLIST = 800
"""Words that a sound may consist of; the others do not fit any part of it."""
_FORMAT = 1


class WordsError(ValueError):
    """A file of words that cannot be used; the message names what is wrong."""


@dataclass(frozen=True, slots=True)
class WordModel:
    """How probable words are, alone and after each other.

    Word number V, of V words, stands for the begin and the end of a sentence.
    """

    words: tuple[str, ...]
    alone: Floats
    """Log-probability of each word wherever it may stand: [V + 1]."""
    backoff: Floats
    """What is added to `alone` after each word, for words it is not known to be followed by:
    [V + 1]."""
    before: Ints
    """First word of each known pair, [P]."""
    after: Ints
    """Second word of each known pair, ascending, [P]."""
    pairs: Floats
    """Log-probability of the second word after the first, [P]."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote; raises `WordsError` for anything else."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                _check_format(int(arrays["format"]), path)
                model = cls(
                    words=tuple(arrays["words"].tobytes().decode().split()),
                    alone=arrays["alone"].astype(np.float32),
                    backoff=arrays["backoff"].astype(np.float32),
                    before=arrays["before"].astype(np.int64),
                    after=arrays["after"].astype(np.int64),
                    pairs=arrays["pairs"].astype(np.float32),
                )
        except WordsError:
            raise
        except Exception as error:  # a damaged archive can raise nearly anything
            raise WordsError(f"{path}: {error}") from error
        model._check(path)
        return model

    def write(self, path: Path) -> None:
        """Write a compressed file of arrays."""
        small = np.uint16 if len(self.words) < 1 << 16 else np.uint32
        np.savez_compressed(
            path,
            format=np.array(_FORMAT),
            words=np.frombuffer("\n".join(self.words).encode(), np.uint8),
            alone=self.alone.astype(np.float16),
            backoff=self.backoff.astype(np.float16),
            before=self.before.astype(small),
            after=self.after.astype(small),
            pairs=self.pairs.astype(np.float16),
        )

    def _check(self, path: Path) -> None:
        size = len(self.words)
        same = len(self.before) == len(self.after) == len(self.pairs)
        if not size or not same or not len(self.alone) == len(self.backoff) == size + 1:
            raise WordsError(f"{path}: its arrays do not fit each other")
        for name, index in (("before", self.before), ("after", self.after)):
            if len(index) and not 0 <= index.min() <= index.max() <= size:
                raise WordsError(f"{path}: {name} names words that are not there")
        if (np.diff(self.after) < 0).any():
            raise WordsError(f"{path}: its pairs are not in order")
        if not all(np.isfinite(each).all() for each in (self.alone, self.backoff, self.pairs)):
            raise WordsError(f"{path}: not all of its numbers are finite")


def _check_format(number: int, path: Path) -> None:
    if number != _FORMAT:
        raise WordsError(f"{path}: of format {number}, not {_FORMAT}")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a sound says in words."""

    text: str
    total: float
    """Log-probability of the sound's best alignment with it, words' own probability left out."""
    loss: float
    """How much less probable than the freest reading that is, in log-probability a piece."""


class Reader:
    """Reads spellings in the words of one model."""

    def __init__(self, model: WordModel, encode: Callable[[str], Sequence[int]]) -> None:
        """`encode` gives the pieces of one word."""
        size = len(model.words)
        self._words = model.words
        # a word that no pieces spell is given one that is never said, so that numbers stay
        self._chains = Chains.of([encode(word) or [0] for word in model.words])
        first, last = model.before == size, model.after == size
        inner = ~first & ~last
        self._before, self._after = model.before[inner], model.after[inner]
        self._pairs = WEIGHT * model.pairs[inner] - COST
        self._alone = WEIGHT * model.alone[:size] - COST
        self._backoff = WEIGHT * model.backoff[:size]
        self._opening = self._alone + WEIGHT * model.backoff[size]
        opens = first & ~last
        self._opening[model.after[opens]] = WEIGHT * model.pairs[opens] - COST
        self._closing = WEIGHT * (model.backoff[:size] + model.alone[size])
        closes = last & ~first
        self._closing[model.before[closes]] = WEIGHT * model.pairs[closes]

    def read(self, log_probability: Floats, blank: int) -> Reading | None:
        """The likeliest sentence for [S, V] of S frames; None where nothing was said."""
        if not len(log_probability):
            return None
        search = self._among(self._likely(log_probability))
        doubted = doubting(log_probability, blank, SILENCE_COST)
        trellis = search.chains.follow(doubted, blank, search.arrivals)
        scores = trellis.ended(trellis.frames) + search.closing
        last = int(scores.argmax())
        if scores[last] <= max(float(NEVER) / 2, float(trellis.quiet[-1])):
            return None
        found = search.trace(last, trellis)
        total = search.chains.aligned(found, log_probability, blank)
        pieces = int(search.chains.sizes[list(found)].sum())
        if total - float(log_probability[:, blank].sum()) < LEAST_HEARD * pieces:
            return None
        words = [int(search.words[each]) for each in found]
        loss = (float(log_probability.max(1).sum()) - total) / pieces
        return Reading(" ".join(self._words[word] for word in words), total, loss)

    def _likely(self, log_probability: Floats) -> Ints:
        """The words whose pieces all sound somewhere, ascending."""
        # pieces of a long word are heard worse each, yet it is rarely something else
        fit = self._chains.fit(log_probability) / np.sqrt(self._chains.sizes)
        if len(fit) <= SHORTLIST:
            return np.arange(len(fit))
        return np.sort(np.argpartition(-fit, SHORTLIST)[:SHORTLIST])

    def _among(self, words: Ints) -> "_Search":
        number = np.full(len(self._words), -1, np.int64)
        number[words] = np.arange(len(words))
        before, after = number[self._before], number[self._after]
        known = (before >= 0) & (after >= 0)
        followers, offsets = np.unique(after[known], return_index=True)
        return _Search(
            words=words,
            chains=self._chains.some(words),
            before=before[known],
            pairs=self._pairs[known],
            followers=followers,
            offsets=offsets,
            alone=self._alone[words],
            backoff=self._backoff[words],
            opening=self._opening[words],
            closing=self._closing[words],
        )


@dataclass(frozen=True, slots=True)
class _Search:
    """The words that may be in one sound, W of them, and the price of each after the others."""

    words: Ints
    chains: Chains
    before: Ints
    """First word of each pair, by the second: [P]."""
    pairs: Floats
    followers: Ints
    """The words that are the second of a pair: [F]."""
    offsets: Ints
    """Where in `pairs` each of `followers` begins: [F]."""
    alone: Floats
    backoff: Floats
    opening: Floats
    """Price of being the first word: [W]."""
    closing: Floats
    """Price of being the last word: [W]."""

    def arrivals(self, quiet: float, ended: Floats) -> Floats:
        """See `engines.chains.Arrivals`."""
        arrived: Floats = np.maximum(
            self.alone + (ended + self.backoff).max(), self.opening + np.float32(quiet)
        )
        if len(self.followers):
            after = np.maximum.reduceat(ended[self.before] + self.pairs, self.offsets)
            arrived[self.followers] = np.maximum(arrived[self.followers], after)
        return arrived

    def trace(self, last: int, trellis: Trellis) -> tuple[int, ...]:
        """The words on the best way to the end of `last`."""
        found, after = [last], trellis.frames
        while True:
            after, _ = trellis.span(found[-1], after)
            ended = trellis.ended(after)
            ways = ended + self._prices(found[-1])
            came = int(ways.argmax())
            if trellis.quiet[after] + self.opening[found[-1]] >= ways[came]:
                return tuple(reversed(found))
            found.append(came)

    def _prices(self, word: int) -> Floats:
        """Price of a word after each of the others: [W]."""
        prices: Floats = self.alone[word] + self.backoff
        place = int(np.searchsorted(self.followers, word))
        if place < len(self.followers) and self.followers[place] == word:
            stop = self.offsets[place + 1] if place + 1 < len(self.offsets) else len(self.pairs)
            known = slice(self.offsets[place], stop)
            prices[self.before[known]] = np.maximum(prices[self.before[known]], self.pairs[known])
        return prices
