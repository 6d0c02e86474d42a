"""VoiceBench `bbh`: four tasks of BIG-Bench Hard, each answered by one of two words."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from engines.evaluation.scoring.result import Result, Row, RowsError, grouped, percent, text
from engines.evaluation.scoring.tables import table

TASKS = ("sports_understanding", "hyperbaton", "navigate", "web_of_lies")
"""In the order in which they are looked for in a row's id."""

_MEANING = {"yes": 1, "no": 0, "(a)": 0, "(b)": 1}
_PAIR = re.compile(r"\[([^\[\]|]+)\|([^\[\]|]+)\]")
_GAP = " ... "
_MENDED = {
    ("hyperbaton", "=b"): 1,
    ("sports_understanding", "the sentence ... is not plausible"): 0,
    ("web_of_lies", "$must be lying"): 0,
}
_NOTES = (
    'strict: a bare "b" means the second sentence, not the first',
    'strict: "the sentence ... is not plausible" means no, not yes',
    'strict: "... must be lying" means no, not yes',
    "strict: a response without a readable answer is wrong, not guessed",
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the tables, or one half of a pair."""

    meaning: int
    pattern: str

    def fits(self, response: str) -> bool:
        """Whether the plain response has what the pattern says."""
        kind, rest = self.pattern[0], self.pattern[1:]
        if kind == "=":
            return response == rest
        if kind == "^":
            return response.startswith(rest)
        if kind == "$":
            return response.endswith(rest)
        left, gap, right = self.pattern.partition(_GAP)
        if not gap:
            return left in response
        start = response.find(f"{left} ")
        # at least one character between the two, each with its space
        return start >= 0 and response.find(f" {right}", start + len(left) + 2) >= 0


def rules(task: str, *, strict: bool = False) -> list[Rule]:
    """The rules of a task in order; `strict` mends those that mean the opposite of what they say.

    The three tasks of yes and no begin with the rules that they share.
    """
    found = []
    shared = [] if task == "hyperbaton" else table("bbh", "yes_or_no")
    for line in [*shared, *table("bbh", task)]:
        if pair := _PAIR.search(line):
            found += [Rule(meaning, line.replace(pair[0], pair[1 + meaning])) for meaning in (0, 1)]
        else:
            found.append(Rule(int(line[0]), line[2:]))
    if strict:
        return [Rule(_MENDED.get((task, r.pattern), r.meaning), r.pattern) for r in found]
    return found


def plain(response: str) -> str:
    """Lower case, the models' own marks cut off, the usual punctuation as spaces."""
    response = response.lower()
    if response.endswith("<|user|>"):
        response = response.removesuffix("<|user|>").strip()
    if response.startswith(("<1>", "<2>", "<3>")):
        response = response[3:].strip()
    response = response.replace("<|turn_end|>", "")
    return " ".join(re.sub(r"\*\*|[:：\"\-,.]", " ", response).split())


def answer(response: str, task: str, *, strict: bool = False) -> int | None:
    """0 or 1 by the first rule that fits, or `None`."""
    said = plain(response)
    return next((rule.meaning for rule in _rules(task, strict) if rule.fits(said)), None)


def score(rows: Sequence[Row], *, seed: int = 0, strict: bool = False) -> Result:
    """`acc` in percent, by task too; unreadable answers are guessed, and counted by `fail`."""
    guess = random.Random(seed)  # noqa: S311 - the official fallback, made repeatable
    tasks, items, answers = [], [], []
    for number, row in enumerate(rows, 1):
        task = _task(row, number)
        meant = _MEANING.get(text(row, number, "reference").lower())
        if meant is None:
            raise RowsError(f"row {number}: reference {row['reference']!r} is no answer of bbh")
        read = answer(text(row, number, "response"), task, strict=strict)
        answers.append(_word(read, task))
        if read is None and not strict:
            read = guess.choice([0, 1])
        tasks.append(task)
        items.append(float(read == meant))
    failed = answers.count(None)
    return Result(
        name="bbh",
        n=len(rows),
        metrics={"acc": percent(sum(items), rows), "fail": percent(failed, rows)} if rows else {},
        failed=failed,
        guessed=0 if strict else failed,
        by=grouped(items, {"task": tasks}),
        items=tuple(items),
        answers=tuple(answers),
        notes=_NOTES if strict else (),
    )


def _task(row: Row, number: int) -> str:
    name = text(row, number, "id")
    for task in TASKS:
        if task in name:
            return task
    raise RowsError(f"row {number}: id {name!r} names none of {', '.join(TASKS)}")


def _word(read: int | None, task: str) -> str | None:
    if read is None:
        return None
    return ("(a)", "(b)")[read] if task == "hyperbaton" else ("no", "yes")[read]


@cache
def _rules(task: str, strict: bool) -> tuple[Rule, ...]:
    return tuple(rules(task, strict=strict))
