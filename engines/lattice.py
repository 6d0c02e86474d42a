"""Finds which of very many sentences a recording spells.

The sentences are a lattice: states, joined by words, and words are chains of pieces. One Viterbi
pass follows all of them at once, in numpy, so that thousands of sentences cost a few milliseconds,
and a sentence is found however badly the free reading spells it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engines.chains import ANYTHING, NEVER, Chains, Ints, Trellis, doubting
from engines.schedule import Floats
from engines.spelling import pieces_of

SILENCE_COST = 5.0
"""Log-probability that each frame without a piece costs more than the ear says, while sentences are
told apart; see `engines.chains.doubting`. Measured on orders in words that nano hardly met: 33 in
100 right without, 96 with, and 82 and 94 of sentences that people read."""
UNSAID_LOSS = 3.0
"""Added for a sentence of no pieces at all, were there one, beside a sound that spells many."""
INAUDIBLE = 9.0
"""How much less probable, in log-probability a piece, a word's pieces are in even their best frames
than what is heard there, for the word not to be searched for."""


@dataclass(frozen=True, slots=True)
class Span:
    """Frames in which anything may have been said."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Path:
    """One sentence of the lattice, and how well the sound spells it."""

    owner: int
    """Whose sentence it is, as given to `LatticeBuilder.accept`."""
    words: tuple[str | Span, ...]
    total: float
    """Log-probability of its best alignment, silence at its own price."""
    pieces: int
    loss: float
    """How much less probable than the freest reading it is, in log-probability a piece, and more
    for what it leaves unsaid."""


@dataclass(frozen=True, slots=True)
class Lattice:
    """All sentences; made by a `LatticeBuilder`."""

    chains: Chains
    """The words on the way from one state to another, and free text."""
    words: tuple[str, ...]
    """What each is: [W]."""
    sources: Ints
    """State that each word leaves: [W]."""
    ends: Ints
    """Words, once for each state that can follow: [E], by state."""
    offsets: Ints
    """Where in `ends` each of `states` begins."""
    states: Ints
    """The states with a word before them."""
    begins: NDArray[np.bool_]
    """Which states a sentence can begin in: [states of the builder]."""
    finals: Ints
    """Words that end a sentence: [F]."""
    owners: Ints
    """Whose sentence: [F]."""

    def audible(self, log_probability: Floats) -> "Lattice":
        """Leave out the words that no part of the sound comes near to: a search is quicker then."""
        if not len(log_probability):
            return self
        kept = np.flatnonzero(self.chains.fit(log_probability) / self.chains.sizes > -INAUDIBLE)
        number = np.full(len(self.words), -1, np.int64)
        number[kept] = np.arange(len(kept))
        ends, finals = number[self.ends], number[self.finals]
        reached = np.repeat(self.states, np.diff(self.offsets, append=len(self.ends)))[ends >= 0]
        states, offsets = np.unique(reached, return_index=True)
        return Lattice(
            chains=self.chains.some(kept),
            words=tuple(self.words[each] for each in kept),
            sources=self.sources[kept],
            ends=ends[ends >= 0],
            offsets=offsets,
            states=states,
            begins=self.begins,
            finals=finals[finals >= 0],
            owners=self.owners[finals >= 0],
        )

    def search(self, log_probability: Floats, blank: int, limit: int) -> list[Path]:
        """The best sentence of each owner, best first, at most `limit`.

        `log_probability` is [S, V], of S frames. None where no sentence fits into the frames.
        """
        if not len(self.finals) or not len(log_probability):
            return []
        doubted = doubting(log_probability, blank, SILENCE_COST)
        freest = np.take_along_axis(doubted, log_probability.argmax(1)[:, None], 1)[:, 0]
        trellis = self.chains.follow(doubted, blank, self._arrivals, freest)
        last = trellis.ended(trellis.frames)[self.finals]
        free = float(log_probability.max(1).sum())
        spelled = max(1, len(pieces_of(log_probability, blank)))
        paths: list[Path] = []
        seen: set[int] = set()
        for index in np.argsort(-last, kind="stable"):
            owner = int(self.owners[index])
            if last[index] <= NEVER / 2 or len(paths) == limit:
                break
            if owner not in seen:
                seen.add(owner)
                way = self._trace(int(self.finals[index]), trellis)
                total = self.chains.aligned([word for word, _ in way], log_probability, blank)
                pieces = int(sum(self.chains.sizes[word] for word, _ in way))
                loss = (free - total) / pieces + UNSAID_LOSS * max(0.0, 1 - pieces / spelled)
                words = tuple(self._said(word, span) for word, span in way)
                paths.append(Path(owner, words, total, pieces, loss))
        return paths

    def _said(self, word: int, span: Span) -> str | Span:
        wild = self.chains.labels[self.chains.first[word]] == ANYTHING
        return span if wild else self.words[word]

    def _arrivals(self, quiet: float, ended: Floats) -> Floats:
        arrived = np.where(self.begins, np.float32(quiet), NEVER)
        if len(self.states):
            reached = np.maximum.reduceat(ended[self.ends], self.offsets)
            arrived[self.states] = np.maximum(arrived[self.states], reached)
        return arrived[self.sources]

    def _trace(self, word: int, trellis: Trellis) -> list[tuple[int, Span]]:
        """The words on the best way to the end of `word`, and where each is said."""
        way: list[tuple[int, Span]] = []
        after = trellis.frames
        while word >= 0:
            begin, end = trellis.span(word, after)
            way.append((word, Span(begin, end)))
            word = self._before(word, trellis.ended(begin), float(trellis.quiet[begin]))
            after = begin
        return way[::-1]

    def _before(self, word: int, ended: Floats, quiet: float) -> int:
        """The word that was said before another began, or -1 if that was the first."""
        state = self.sources[word]
        best, came = (quiet if self.begins[state] else float(NEVER)), -1
        place = int(np.searchsorted(self.states, state))
        if place < len(self.states) and self.states[place] == state:
            stop = self.offsets[place + 1] if place + 1 < len(self.offsets) else len(self.ends)
            candidates = self.ends[self.offsets[place] : stop]
            scores = ended[candidates]
            if scores.max() > best:
                came = int(candidates[scores.argmax()])
        return came


@dataclass(slots=True)
class LatticeBuilder:
    """Puts sentences together, state by state."""

    encode: Callable[[str], Sequence[int]]
    """Words to pieces; a word's pieces must not depend on its neighbours."""
    _pieces: list[Sequence[int]] = field(default_factory=list)
    _words: list[str] = field(default_factory=list)
    _sources: list[int] = field(default_factory=list)
    _ends: list[tuple[int, int]] = field(default_factory=list)
    _skips: list[set[int]] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)
    _accepted: dict[int, int] = field(default_factory=dict)
    _spelled: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def state(self) -> int:
        """Make a state."""
        self._skips.append(set())
        return len(self._skips) - 1

    def word(self, source: int, target: int, word: str) -> None:
        """Join two states by a word; one without pieces joins nothing."""
        if word not in self._spelled:
            self._spelled[word] = tuple(self.encode(word))
        self._chain(source, target, self._spelled[word], word)

    def anything(self, source: int, target: int) -> None:
        """Join two states by free text."""
        self._chain(source, target, (ANYTHING,), "")

    def _chain(self, source: int, target: int, pieces: Sequence[int], word: str) -> None:
        if pieces:
            self._ends.append((len(self._words), target))
            self._pieces.append(pieces)
            self._words.append(word)
            self._sources.append(source)

    def skip(self, source: int, target: int) -> None:
        """Join two states by nothing."""
        self._skips[source].add(target)

    def start(self, state: int) -> None:
        """Let sentences begin here."""
        self._starts.append(state)

    def accept(self, state: int, owner: int) -> None:
        """Let sentences of `owner` end here."""
        self._accepted[state] = owner

    def build(self) -> Lattice:
        """The finished lattice."""
        left = set(self._sources)
        closures: dict[int, frozenset[int]] = {}
        follows: dict[int, list[int]] = {}
        finals: dict[tuple[int, int], None] = {}
        for word, target in self._ends:
            if target not in closures:
                closures[target] = self._closure(target)
            for state in closures[target]:
                if state in left:
                    follows.setdefault(state, []).append(word)
                if state in self._accepted:
                    finals[word, self._accepted[state]] = None
        states = sorted(follows)
        sizes = [len(follows[state]) for state in states]
        begins = np.zeros(len(self._skips), np.bool_)
        for start in self._starts:
            begins[list(self._closure(start))] = True
        return Lattice(
            chains=Chains.of(self._pieces),
            words=tuple(self._words),
            sources=np.array(self._sources, np.int64),
            ends=np.array([word for state in states for word in follows[state]], np.int64),
            offsets=np.cumsum([0, *sizes[:-1]]) if sizes else np.zeros(0, np.int64),
            states=np.array(states, np.int64),
            begins=begins,
            finals=np.array([word for word, _ in finals], np.int64),
            owners=np.array([owner for _, owner in finals], np.int64),
        )

    def _closure(self, state: int) -> frozenset[int]:
        """Every state that is reached from `state` by nothing, itself included."""
        found, waiting = {state}, [state]
        while waiting:
            new = self._skips[waiting.pop()] - found
            found |= new
            waiting += new
        return frozenset(found)
