"""Questions that a model knows by heart, with their answers.

A small language model knows hardly a fact, and says wrong ones as fluently as right ones. What it
has to know is kept in words instead: one lattice of all the ways to ask, held against the sound,
so that a question is known even where its transcript is poor.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.lattice import LatticeBuilder
from engines.schedule import Floats

FORMAT = 1
_MOST_ARCS = 500_000


class StockError(ValueError):
    """A file of questions that cannot be used; the message names what is wrong."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """A question that the sound may be."""

    question: str
    answer: str
    loss: float
    """See `engines.lattice.Path`."""


@dataclass(frozen=True, slots=True)
class Questions:
    """All questions as an automaton over words; a question begins in state 0."""

    arcs: Sequence[tuple[int, str, int]]
    """Two states and the word between them, or "" for none."""
    ends: Sequence[tuple[int, int]]
    """States that end a question, with the index of its answer."""
    answers: Sequence[str]

    @classmethod
    def read(cls, path: Path) -> "Questions":
        """Read what `write` wrote; raises `StockError` for anything else."""
        try:
            table = json.loads(path.read_text("utf-8"))
            if table["format"] != FORMAT:
                raise StockError(f"{path}: not of format {FORMAT}")
            arcs = [(_state(a), _text(word), _state(b)) for a, word, b in table["arcs"]]
            ends = [(_state(state), _state(answer)) for state, answer in table["ends"]]
            answers = [_text(answer) for answer in table["answers"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StockError(f"{path}: {error}") from error
        if len(arcs) > _MOST_ARCS:
            raise StockError(f"{path}: {len(arcs)} arcs are too many")
        if any(answer >= len(answers) for _, answer in ends):
            raise StockError(f"{path}: names answers that are not there")
        return cls(arcs, ends, answers)

    def write(self, path: Path) -> None:
        """Write one line of JSON for each part."""
        parts = {"arcs": self.arcs, "ends": self.ends, "answers": self.answers}
        lines = (
            f'"{name}": {json.dumps(part, ensure_ascii=False, separators=(",", ":"))}'
            for name, part in parts.items()
        )
        path.write_text(f'{{"format": {FORMAT},\n' + ",\n".join(lines) + "}\n", "utf-8")


class Stock:
    """Finds questions in a sound or in words."""

    def __init__(self, questions: Questions, encode: Callable[[str], Sequence[int]]) -> None:
        """`encode` gives the pieces of one word."""
        self._answers = questions.answers
        self._after: dict[int, dict[str, list[int]]] = {}
        self._ends = dict(questions.ends)
        builder = LatticeBuilder(encode)
        states = [0, *(each for a, _, b in questions.arcs for each in (a, b))]
        for _ in range(max(states) + 1):
            builder.state()
        builder.start(0)
        for source, word, target in questions.arcs:
            self._after.setdefault(source, {}).setdefault(word, []).append(target)
            if word:
                builder.word(source, target, word)
            else:
                builder.skip(source, target)
        for state, answer in questions.ends:
            builder.accept(state, answer)
        self._lattice = builder.build()

    def recall(self, log_probability: Floats, blank: int) -> Recalled | None:
        """The question that [S, V] of S frames spells best, however badly it does."""
        audible = self._lattice.audible(log_probability)
        for path in audible.search(log_probability, blank, 1):
            question = " ".join(word for word in path.words if isinstance(word, str))
            return Recalled(question, self._answers[path.owner], path.loss)
        return None

    def answer(self, question: str) -> str:
        """The answer to these very words, as said; empty where the question is not known."""
        states = self._silently({0})
        for word in question.split():
            after = (self._after.get(state, {}).get(word, ()) for state in states)
            states = self._silently({target for targets in after for target in targets})
        found = (self._ends[state] for state in sorted(states) if state in self._ends)
        return next((self._answers[answer] for answer in found), "")

    def _silently(self, states: set[int]) -> set[int]:
        waiting = list(states)
        while waiting:
            new = set(self._after.get(waiting.pop(), {}).get("", ())) - states
            states |= new
            waiting += new
        return states


def _state(number: Any) -> int:
    if not isinstance(number, int) or not 0 <= number < 2 * _MOST_ARCS:
        raise StockError(f"{number!r} is no number of a state or an answer")
    return number


def _text(text: Any) -> str:
    if not isinstance(text, str):
        raise StockError(f"{text!r} is no text")
    return text
