"""VoiceBench `qa` (SD-QA): whether the answer is the reference, to PEDANT and to the judge."""

from collections import Counter
from collections.abc import Sequence

from engines.evaluation.scoring import pedant
from engines.evaluation.scoring.result import Result, Row, grouped, labels, mean, texts
from engines.evaluation.scoring.votes import votes

_NOTES = ('strict: "Yes." and "yes, it is" are a yes of the judge, too',)


def majority(given: Sequence[str], *, strict: bool = False) -> bool | None:
    """Whether the most frequent vote is "yes" in any case; `None` without votes.

    Where several are equally frequent the first given of them decides; the official evaluator
    takes any.
    """
    words = [vote.lower() for vote in given]
    if strict:
        words = [(vote.split() or [""])[0].strip(".,!\"'*") for vote in words]
    if not words:
        return None
    return Counter(words).most_common(1)[0][0] == "yes"


def score(rows: Sequence[Row], *, seed: int = 0, strict: bool = False) -> Result:
    """`panda` (PEDANT) and `gpt` (the judge's majority) in percent, each where it could be had.

    `items` has the mean of the two, or the one there is. PEDANT runs in a Python of its own, see
    `pedant.judge`; why it could not is said in the notes, and it is never counted as zero.
    """
    del seed  # nothing is guessed
    said = zip(
        texts(rows, "reference"), texts(rows, "response"), texts(rows, "prompt"), strict=True
    )
    given = [votes(row, number) for number, row in enumerate(rows, 1)]
    notes = list(_NOTES) if strict else []
    parts: dict[str, tuple[float | None, ...]] = {}
    try:
        found = pedant.judge(
            [(one.lower(), two.lower(), three.lower()) for one, two, three in said]
        )
        parts["panda"] = tuple(map(float, found))
    except pedant.PedantError as error:
        notes.append(f"PEDANT did not score: {error}")
    judged = [majority(one, strict=strict) for one in given]
    parts["gpt"] = tuple(None if one is None else float(one) for one in judged)
    ties = sum(map(_tied, given))
    if ties:
        notes.append(f"{ties} rows have no majority of the judge's votes: the first one decided")
    items = [mean(one) for one in zip(*parts.values(), strict=True)]
    means = {name: mean(one) for name, one in parts.items()}
    return Result(
        name="qa",
        n=len(rows),
        metrics={name: 100 * value for name, value in means.items() if value is not None},
        unscored=items.count(None),
        by=grouped(items, {"split": labels(rows, "split")}),
        items=tuple(items),
        parts=parts,
        notes=tuple(notes),
    )


def _tied(given: Sequence[str]) -> bool:
    counts = [count for _, count in Counter(vote.lower() for vote in given).most_common(2)]
    return len(counts) == 2 and counts[0] == counts[1]
