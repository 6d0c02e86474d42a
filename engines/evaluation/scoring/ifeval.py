"""VoiceBench `ifeval`: instructions that a program can check, strictly and with allowances."""

import random
import string
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engines.evaluation.scoring.instructions import Given, UncheckableError, followed
from engines.evaluation.scoring.language import MissingError
from engines.evaluation.scoring.result import Result, Row, RowsError, grouped, mean, text

_LETTERS = "keywords:letter_frequency"
_LEVELS = ("strict", "loose")
_UNITS = ("prompt", "instruction")
_NOTES = (
    "strict: each row has its own response, also where two have the same prompt",
    "strict: what is no letter is counted as it is, not replaced by a random letter",
)


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of one row."""

    name: str
    given: Given


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one was followed; `None` where that cannot be told."""

    strict: bool | None
    loose: bool | None


def variants(response: str) -> list[str]:
    """The response, and it without its first line, its last, both, and each without asterisks."""
    lines = response.split("\n")
    cut = ["\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])]
    whole = [response, *cut]
    return list(dict.fromkeys([*whole, *(one.replace("*", "") for one in whole)]))


def score(rows: Sequence[Row], *, seed: int = 0, strict: bool = False) -> Result:
    """`strict-prompt`, `strict-instruction`, `loose-prompt`, `loose-instruction` in percent.

    A prompt is right when all its instructions are followed. `items` is the mean of the four for
    each row. Rows with an instruction that cannot be checked are unscored, and said in the notes.
    `failed` counts letters to be counted that are none: the official evaluator takes random ones.
    """
    letters = _Letters(seed, kept=strict)
    asked = [_instructions(row, number, letters) for number, row in enumerate(rows, 1)]
    problems: Counter[str] = Counter()
    verdicts = [
        [_verdict(response, one, problems) for one in wanted]
        for response, wanted in zip(_responses(rows, strict), asked, strict=True)
    ]
    parts: dict[str, tuple[float | None, ...]] = {}
    metrics = {}
    for level in _LEVELS:
        for unit in _UNITS:
            kept = [_values(one, level) for one in verdicts]
            single = [_of_row(one, unit) for one in kept]
            parts[f"{level}-{unit}"] = tuple(single)
            pool = single if unit == "prompt" else [v for one in kept for v in one or ()]
            share = mean(pool)
            if share is not None:
                metrics[f"{level}-{unit}"] = 100 * share
    items = tuple(mean(one) for one in zip(*parts.values(), strict=True))
    return Result(
        name="ifeval",
        n=len(rows),
        metrics=metrics,
        failed=letters.replaced,
        unscored=items.count(None),
        by=_by_instruction(asked, verdicts),
        items=items,
        parts=parts,
        notes=(*(_NOTES if strict else ()), *_told(problems, letters)),
    )


class _Letters:
    """Stands in for what should be a letter and is none, as the official evaluator does."""

    def __init__(self, seed: int, *, kept: bool) -> None:
        self._guess = random.Random(seed)  # noqa: S311 - the official fallback, made repeatable
        self._kept = kept
        self.replaced = 0

    def checked(self, given: dict[str, Any]) -> dict[str, Any]:
        letter = given.get("letter")
        if self._kept or (
            isinstance(letter, str) and letter.lower() in set(string.ascii_lowercase)
        ):
            return given
        self.replaced += 1
        return given | {"letter": self._guess.choice(string.ascii_letters)}


def _instructions(row: Row, number: int, letters: _Letters) -> list[Instruction]:
    names, arguments = row.get("instruction_id_list"), row.get("kwargs")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RowsError(f"row {number}: instruction_id_list is not a list of texts")
    if not isinstance(arguments, list) or len(arguments) < len(names):
        raise RowsError(f"row {number}: kwargs has not one table for each instruction")
    found = []
    for name, given in zip(names, arguments, strict=False):
        if not isinstance(given, dict | None):
            raise RowsError(f"row {number}: kwargs holds {given!r}, not a table")
        filled = {key: value for key, value in (given or {}).items() if value}
        found.append(
            Instruction(name, Given(letters.checked(filled) if name == _LETTERS else filled))
        )
    return found


def _responses(rows: Sequence[Row], strict: bool) -> Iterator[str]:
    """Of each row; the official evaluator keeps them by prompt, so that the last of two stays."""
    said = [
        (text(row, number, "prompt"), _bare(text(row, number, "response")))
        for number, row in enumerate(rows, 1)
    ]
    last = dict(said)
    return (response if strict else last[prompt] for prompt, response in said)


def _bare(response: str) -> str:
    return response[3:].strip() if response.startswith(("<1>", "<2>", "<3>")) else response


def _verdict(response: str, instruction: Instruction, problems: Counter[str]) -> Verdict:
    name, given = instruction.name, instruction.given
    try:
        exactly = followed(name, response, given)
        nearly = exactly or any(followed(name, one, given) for one in variants(response)[1:])
    except (UncheckableError, MissingError) as error:
        problems[f"{name}: {error}"] += 1
        return Verdict(None, None)
    return Verdict(exactly, nearly)


def _values(verdicts: Sequence[Verdict], level: str) -> list[float] | None:
    """One for each instruction of a row; `None` for the row as soon as one cannot be told."""
    values = [getattr(verdict, level) for verdict in verdicts]
    return None if None in values else [float(value) for value in values]


def _of_row(values: Sequence[float] | None, unit: str) -> float | None:
    if values is None:
        return None
    return float(all(values)) if unit == "prompt" else mean(values)


def _by_instruction(
    asked: Sequence[Sequence[Instruction]], verdicts: Sequence[Sequence[Verdict]]
) -> dict[str, dict[str, float]]:
    names = [instruction.name for wanted in asked for instruction in wanted]
    flat = [one.strict for row in verdicts for one in row]
    return grouped([None if one is None else float(one) for one in flat], {"instruction": names})


def _told(problems: Counter[str], letters: _Letters) -> list[str]:
    notes = [f"{count} × not checked, {problem}" for problem, count in problems.most_common()]
    if letters.replaced:
        notes.append(f"{letters.replaced} × a random letter counted for what is no letter")
    return notes
