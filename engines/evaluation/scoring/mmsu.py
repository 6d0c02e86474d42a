"""MMSU (Wang et al. 2025): one letter read off the beginning or the end of the response.

As DIFFA's evaluation scores it: a response without a letter is wrong. What the script of MMSU's
authors says of the same responses is `acc_valid`: it leaves such a response out of the count, but
gives an empty one the letter of the response before it.
"""

from collections.abc import Sequence

from engines.evaluation.scoring.result import (
    Result,
    Row,
    grouped,
    labels,
    mean,
    percent,
    texts,
)

_LETTERS = "ABCD"
_LEVELS = ("category", "sub-category", "sub-sub-category")
_NOTES = (
    "strict: the first letter of a longer word is no answer",
    "strict: acc_valid leaves out empty responses, too, which are given the letter before them",
)


def answer(response: object, *, strict: bool = False) -> str | None:
    """The first character if it is one of A to D, else the last but one ("It is C."), or `None`."""
    said = _plain(response)
    if not said or said == "None":
        return None
    places = [0] if len(said) == 1 else [0, len(said) - 2]
    found = [
        said[at] for at in places if said[at] in _LETTERS and not (strict and _inside(said, at))
    ]
    return found[0] if found else None


def _plain(response: object) -> str | None:
    return response.strip().replace("\n", "") if isinstance(response, str) else None


def score(rows: Sequence[Row], *, seed: int = 0, strict: bool = False) -> Result:
    """`acc` in percent, by category and task, with `invalid` and `acc_valid`; see above."""
    del seed  # nothing is guessed
    references = texts(rows, "answer_gt")
    answers = [answer(row.get("response"), strict=strict) for row in rows]
    # where there are but two choices, the third is as wrong as any
    items = [
        float(_chosen(row, letter) == right)
        for row, letter, right in zip(rows, answers, references, strict=True)
    ]
    valid = mean(_of_authors(rows, answers, strict=strict))
    failed = answers.count(None)
    metrics = {}
    if rows:
        metrics = {"acc": percent(sum(items), rows), "invalid": percent(failed, rows)}
    if valid is not None:
        metrics["acc_valid"] = 100 * valid
    return Result(
        name="mmsu",
        n=len(rows),
        metrics=metrics,
        failed=failed,
        by=grouped(items, _groups(rows)),
        items=tuple(items),
        answers=tuple(answers),
        notes=_NOTES if strict else (),
    )


def _chosen(row: Row, letter: str | None) -> object:
    return letter and row.get(f"choice_{letter.lower()}")


def _of_authors(
    rows: Sequence[Row], answers: Sequence[str | None], *, strict: bool
) -> list[float | None]:
    """The same items as the script of MMSU's authors counts them; `None` for one that it does not.

    An empty response before any letter, which stops that script, is left out.
    """
    items: list[float | None] = []
    before: str | None = None
    for row, letter in zip(rows, answers, strict=True):
        given = letter
        if letter is None and not strict and _plain(row.get("response")) in {"", "None"}:
            given = before
        before = letter or before
        items.append(None if given is None else float(_chosen(row, given) == row["answer_gt"]))
    return items


def _groups(rows: Sequence[Row]) -> dict[str, list[str | None]]:
    """Each level is named with those above it, since a sub-category is in several categories."""
    groups: dict[str, list[str | None]] = {"task_name": labels(rows, "task_name")}
    above: list[str | None] | None = None
    for level in _LEVELS:
        own = labels(rows, level)
        if above is not None:
            own = [a and b and f"{a} / {b}" for a, b in zip(above, own, strict=True)]
        groups[level] = above = own
    return groups


def _inside(said: str, at: int) -> bool:
    return said[max(at - 1, 0) : at].isalnum() or said[at + 1 : at + 2].isalnum()
