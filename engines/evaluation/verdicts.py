"""Recordings that were judged right or wrong, counted whole and by group."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engines.evaluation.intervals import interval
from engines.evaluation.samples import GROUPS, Sample


@dataclass(frozen=True, slots=True)
class Verdict:
    """One recording, judged."""

    sample: Sample
    right: bool
    mistake: dict[str, Any]
    """What went wrong, ready for JSON."""


def summary(verdicts: Sequence[Verdict], *, unnamed: dict[str, str]) -> dict[str, Any]:
    """`accuracy`, `n`, its interval over speakers, the same `by` group, and what is `wrong`.

    `unnamed` is what a group calls those that name none, where that is not "unknown".
    """
    by = {
        group: {name: _accuracy(members) for name, members in _groups(verdicts, group, unnamed)}
        for group in GROUPS
        if any(group in each.sample.about for each in verdicts)
    }
    wrong = [{"file": v.sample.name, **v.mistake} for v in verdicts if not v.right]
    return {**_accuracy(verdicts), "by": by, "wrong": wrong}


def _accuracy(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    counts = [(str(v.sample.about.get("speaker", "")), float(v.right), 1.0) for v in verdicts]
    share = sum(v.right for v in verdicts) / max(1, len(verdicts))
    return {"accuracy": round(share, 4), "n": len(verdicts), "accuracy_interval": interval(counts)}


def _groups(
    verdicts: Sequence[Verdict], group: str, unnamed: dict[str, str]
) -> list[tuple[str, list[Verdict]]]:
    members: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        name = verdict.sample.about.get(group)
        known = unnamed.get(group, "unknown") if name in (None, "") else str(name)
        members.setdefault(known, []).append(verdict)
    return sorted(members.items())
