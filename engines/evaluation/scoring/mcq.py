"""VoiceBench `mcq` (MMSU's text questions, OpenBookQA): the letter read from a free answer."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from engines.evaluation.scoring.result import Result, Row, grouped, labels, percent, texts
from engines.evaluation.scoring.tables import table

_LETTERS = "abcd"
_STOPS = tuple(".,:)")
_NOTES = (
    "strict: a letter that is part of a longer word is no answer",
    "strict: a response without a readable answer is wrong, not guessed",
)


@dataclass(frozen=True, slots=True)
class Template:
    """What stands before and after the letter."""

    before: str
    after: str

    def letter(self, response: str, *, whole: bool) -> str | None:
        """The first of a to d found between the two; `whole` wants it to be a word of its own."""
        if self.before not in response or self.after not in response:
            return None
        for letter in _LETTERS:
            found = f"{self.before}{letter}{self.after}"
            start = response.find(found)
            while whole and start >= 0 and not self._stands_alone(response, start):
                start = response.find(found, start + 1)
            if start >= 0:
                return letter
        return None

    def _stands_alone(self, response: str, start: int) -> bool:
        at = start + len(self.before)
        beside = response[max(at - 1, 0) : at] + response[at + 1 : at + 2]
        return not any(character.isascii() and character.isalnum() for character in beside)


def answer(response: str, *, strict: bool = False) -> str | None:
    """The letter A to D that the response gives, or `None`.

    The templates are searched in order; then the response may be a bare letter, or begin with
    one and a stop. (The official evaluator ends with three phrases that mean A; each holds one of
    its own templates, so that they never decide.)
    """
    said = response.lower()
    if said.startswith(("<1>", "<2>", "<3>")):
        said = said[3:].strip()
    for template in _templates():
        letter = template.letter(said, whole=strict)
        if letter is not None:
            return letter.upper()
    for letter in _LETTERS:
        if said == letter or said.startswith(tuple(letter + stop for stop in _STOPS)):
            return letter.upper()
    return None


def score(rows: Sequence[Row], *, seed: int = 0, strict: bool = False) -> Result:
    """`acc` in percent; responses without a readable letter are guessed, and counted by `fail`."""
    references = texts(rows, "reference")
    answers = [answer(response, strict=strict) for response in texts(rows, "response")]
    guess = random.Random(seed)  # noqa: S311 - the official fallback, made repeatable
    given = [read if read or strict else guess.choice(["A", "B", "C", "D"]) for read in answers]
    items = [float(one == other) for one, other in zip(given, references, strict=True)]
    failed = answers.count(None)
    return Result(
        name="mcq",
        n=len(rows),
        metrics={"acc": percent(sum(items), rows), "fail": percent(failed, rows)} if rows else {},
        failed=failed,
        guessed=0 if strict else failed,
        by=grouped(items, {"split": labels(rows, "split")}),
        items=tuple(items),
        answers=tuple(answers),
        notes=_NOTES if strict else (),
    )


@cache
def _templates() -> tuple[Template, ...]:
    return tuple(Template(*line.split("§")) for line in table("mcq", "templates"))
