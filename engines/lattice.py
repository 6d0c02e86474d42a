"""Finds which of very many sentences a recording spells.

CTC (Graves et al. 2006) gives the probability of every piece in every frame. The sentences are a
lattice: states, joined by words, and words are chains of pieces. One Viterbi pass follows all of
them at once, in numpy, so that thousands of sentences cost a few milliseconds, and a sentence is
found however badly the free reading spells it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engines.schedule import Floats

ANYTHING = -1
"""Label of a position that takes any pieces, blanks included."""
WILD_COST = 0.15
"""Log-probability that each frame of free text costs, so that words of the lattice win over it."""
_NEVER = np.float32(-1e9)

Ints = NDArray[np.int64]


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
    """Log-probability of its best alignment."""
    pieces: int


@dataclass(frozen=True, slots=True)
class Lattice:
    """All sentences, as positions that each take one piece; made by a `LatticeBuilder`."""

    labels: Ints
    """Piece of each position, or `ANYTHING`: [N]."""
    entered_from: Ints
    """State that a word's first position is entered from, -1 inside a word: [N]."""
    words: tuple[str | None, ...]
    """The word that a position begins, none inside a word."""
    ends: Ints
    """Positions that end a word, once for each state that can follow: [E], by state."""
    offsets: Ints
    """Where in `ends` each of `states` begins."""
    states: Ints
    """The states with a word before them."""
    begins: NDArray[np.bool_]
    """Which states a sentence can begin in: [states of the builder]."""
    finals: Ints
    """Positions that end a sentence: [F]."""
    owners: Ints
    """Whose sentence: [F]."""

    def search(self, log_probability: Floats, blank: int, limit: int) -> list[Path]:
        """The best sentence of each owner, best first, at most `limit`.

        `log_probability` is [S, V], of S frames. None where no sentence fits into the frames.
        """
        if not len(self.finals) or not len(log_probability):
            return []
        trellis = self._forward(log_probability, blank)
        last = trellis.best(len(log_probability) - 1, self.finals)
        paths: list[Path] = []
        seen: set[int] = set()
        for index in np.argsort(-last, kind="stable"):
            owner = int(self.owners[index])
            if last[index] <= _NEVER / 2 or len(paths) == limit:
                break
            if owner not in seen:
                seen.add(owner)
                words, pieces = self._trace(int(self.finals[index]), trellis)
                paths.append(Path(owner, words, float(last[index]), pieces))
        return paths

    def _forward(self, log_probability: Floats, blank: int) -> "_Trellis":
        frames, count = len(log_probability), len(self.labels)
        emitted = log_probability[:, self.labels]  # [S, N]
        emitted[:, self.labels == ANYTHING] = log_probability.max(1, keepdims=True) - WILD_COST
        silence = log_probability[:, blank]
        inner = self.entered_from < 0
        repeated = inner & (self.labels == np.roll(self.labels, 1))
        first = np.flatnonzero(~inner)
        source = self.entered_from[first]
        trellis = _Trellis(
            np.full((frames + 1, count), _NEVER, np.float32),
            np.full((frames + 1, count), _NEVER, np.float32),
            np.concatenate([[0.0], silence.cumsum()]).astype(np.float32),
        )
        for frame in range(frames):
            label, space = trellis.taken[frame], trellis.passed[frame]
            best = np.maximum(label, space)
            arrived = np.where(self.begins, trellis.quiet[frame], _NEVER)
            if len(self.states):
                reached = np.maximum.reduceat(best[self.ends], self.offsets)
                arrived[self.states] = np.maximum(arrived[self.states], reached)
            # the same piece twice needs a blank between, or it would be one
            entering = np.roll(np.where(np.roll(repeated, -1), space, best), 1)
            entering[first] = arrived[source]
            trellis.taken[frame + 1] = emitted[frame] + np.maximum(label, entering)
            trellis.passed[frame + 1] = silence[frame] + best
        return trellis

    def _trace(self, position: int, trellis: "_Trellis") -> tuple[tuple[str | Span, ...], int]:
        """The words on the best way to `position`, and how many pieces they are."""
        words: list[str | Span] = []
        pieces, frame, spaced = 0, len(trellis.taken) - 1, False
        while True:
            while spaced or trellis.passed[frame, position] > trellis.taken[frame, position]:
                frame, spaced = frame - 1, False
            end = frame
            while (came := self._before(position, frame, trellis)) == position:
                frame -= 1
            pieces += 1
            word = self.words[position]
            if word is not None:
                wild = self.labels[position] == ANYTHING
                words.append(Span(frame - 1, end) if wild else word)
            if came < 0:
                return tuple(reversed(words)), pieces
            spaced = self.entered_from[position] < 0 and self._repeats(position)
            frame, position = frame - 1, came

    def _repeats(self, position: int) -> bool:
        """Whether the word's piece before is the same, so that a blank must lie between."""
        return bool(self.labels[position - 1] == self.labels[position])

    def _before(self, position: int, frame: int, trellis: "_Trellis") -> int:
        """The position that this one was reached from in `frame`: itself, or -1 for the start."""
        stayed = trellis.taken[frame - 1, position]
        state = self.entered_from[position]
        if state < 0:
            before = position - 1
            entered = trellis.passed[frame - 1, before]
            if not self._repeats(position):
                entered = max(entered, trellis.taken[frame - 1, before])
            return position if stayed > entered else before
        best, came = (trellis.quiet[frame - 1] if self.begins[state] else _NEVER), -1
        place = int(np.searchsorted(self.states, state))
        if place < len(self.states) and self.states[place] == state:
            stop = self.offsets[place + 1] if place + 1 < len(self.offsets) else len(self.ends)
            ends = self.ends[self.offsets[place] : stop]
            scores = trellis.best(frame - 2, ends)
            if scores.max() > best:
                best, came = scores.max(), int(ends[scores.argmax()])
        return position if stayed > best else came


@dataclass(frozen=True, slots=True)
class _Trellis:
    """Best scores after each number of frames."""

    taken: Floats
    """Having just taken a position's piece: [S + 1, N]."""
    passed: Floats
    """With a blank after it: [S + 1, N]."""
    quiet: Floats
    """With nothing but blanks so far: [S + 1]."""

    def best(self, frame: int, positions: Ints) -> Floats:
        """The better of both after frame number `frame`, counted from zero."""
        taken, passed = self.taken[frame + 1], self.passed[frame + 1]
        return np.asarray(np.maximum(taken[positions], passed[positions]), np.float32)


@dataclass(slots=True)
class LatticeBuilder:
    """Puts sentences together, state by state."""

    encode: Callable[[str], Sequence[int]]
    """Words to pieces; a word's pieces must not depend on its neighbours."""
    _labels: list[int] = field(default_factory=list)
    _words: list[str | None] = field(default_factory=list)
    _entered: list[int] = field(default_factory=list)
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
        for number, piece in enumerate(pieces):
            self._labels.append(piece)
            self._words.append(None if number else word)
            self._entered.append(-1 if number else source)
        if pieces:
            self._ends.append((len(self._labels) - 1, target))

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
        left = {state for state in self._entered if state >= 0}
        closures: dict[int, frozenset[int]] = {}
        follows: dict[int, list[int]] = {}
        finals: dict[tuple[int, int], None] = {}
        for position, target in self._ends:
            if target not in closures:
                closures[target] = self._closure(target)
            for state in closures[target]:
                if state in left:
                    follows.setdefault(state, []).append(position)
                if state in self._accepted:
                    finals[position, self._accepted[state]] = None
        states = sorted(follows)
        sizes = [len(follows[state]) for state in states]
        begins = np.zeros(len(self._skips), np.bool_)
        for start in self._starts:
            begins[list(self._closure(start))] = True
        return Lattice(
            labels=np.array(self._labels, np.int64),
            entered_from=np.array(self._entered, np.int64),
            words=tuple(self._words),
            ends=np.array([p for state in states for p in follows[state]], np.int64),
            offsets=np.cumsum([0, *sizes[:-1]]) if sizes else np.zeros(0, np.int64),
            states=np.array(states, np.int64),
            begins=begins,
            finals=np.array([position for position, _ in finals], np.int64),
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
