"""Which questions a shipped model knows by heart: facts, small talk and refusals of the corpus."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from engines.stock import Questions
from engines.training.families import Family
from engines.training.text import spoken

KINDS = frozenset({"fact", "small_talk", "refusal"})
"""Sums are worked out, and commands are what plugins are for."""
_TEXT = "{text}"

Node = frozenset[tuple[str | int, "Node"]]
"""What can come next, and what after that: a word, or the index of an answer at the very end."""


def stock(families: Iterable[Family]) -> Questions:
    """All wordings of all questions, with the frames that people put around them."""
    known = [family for family in families if family.kind in KINDS]
    answers: list[str] = []
    phrases: set[tuple[str | int, ...]] = set()
    for family in known:
        for text, answer in family.answered():
            if not answers or answers[-1] != answer:
                answers.append(answer)
            phrases.add((*_said(text).split(), len(answers) - 1))
    frames = {frame for family in known for frame in family.frames}
    return _Writer(answers).write(phrases, frames)


@dataclass(slots=True)
class _Writer:
    """Numbers the states of the smallest automaton."""

    answers: list[str]
    arcs: list[tuple[int, str, int]] = field(default_factory=list)
    ends: list[tuple[int, int]] = field(default_factory=list)
    _nodes: dict[Node, Node] = field(default_factory=dict)
    _states: dict[Node | int, int] = field(default_factory=dict)
    _next: int = 2

    def write(self, phrases: Iterable[tuple[str | int, ...]], frames: Iterable[str]) -> Questions:
        before, after = _sides(frames)
        self.arcs.append((0, "", 1))
        for phrase in before:
            self._phrase(0, 1, phrase)
        root = self._node(list(phrases))
        self._states[root] = 1
        self._spread(root)
        for answer in range(len(self.answers)):
            if answer not in self._states:
                continue
            state, over = self._states[answer], self._state()
            self.arcs.append((state, "", over))
            for phrase in after:
                self._phrase(state, over, phrase)
            self.ends.append((over, answer))
        return Questions(self.arcs, self.ends, self.answers)

    def _node(self, phrases: list[tuple[str | int, ...]]) -> Node:
        """The automaton of some phrases; phrases that end alike share their end."""
        tails: dict[str | int, list[tuple[str | int, ...]]] = {}
        for first, *rest in (phrase for phrase in phrases if phrase):
            tails.setdefault(first, []).append(tuple(rest))
        node = frozenset((first, self._node(rests)) for first, rests in tails.items())
        return self._nodes.setdefault(node, node)

    def _spread(self, node: Node) -> None:
        for word, after in sorted(node, key=lambda each: (isinstance(each[0], str), each[0])):
            if isinstance(word, int):
                known = word in self._states
                end = self._states.setdefault(word, self._next)
                self._next += not known
                self.arcs.append((self._states[node], "", end))
                continue
            known = after in self._states
            if not known:
                self._states[after] = self._state()
            self.arcs.append((self._states[node], word, self._states[after]))
            if not known:
                self._spread(after)

    def _phrase(self, source: int, target: int, phrase: str) -> None:
        *inner, last = phrase.split()
        for word in inner:
            self.arcs.append((source, word, self._next))
            source = self._state()
        self.arcs.append((source, last, target))

    def _state(self) -> int:
        self._next += 1
        return self._next - 1


def _sides(frames: Iterable[str]) -> tuple[list[str], list[str]]:
    """What is said before a question, and what after it."""
    sides = [[spoken(side) for side in frame.split(_TEXT)] for frame in frames]
    return sorted({side[0] for side in sides} - {""}), sorted({side[1] for side in sides} - {""})


_said = lru_cache(300_000)(spoken)
