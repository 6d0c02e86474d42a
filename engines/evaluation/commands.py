"""How many spoken commands are understood: intent and slots, or rightly refused."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engines.evaluation.intervals import interval
from engines.evaluation.samples import GROUPS, Audio, ManifestError, Noise, Sample, heard
from engines.training.text import spoken

NONE = "out of domain"


@dataclass(frozen=True, slots=True)
class Reading:
    """What was made of a recording."""

    transcript: str
    intent: str | None
    """`plugin.handler`; none where no plugin would answer."""
    slots: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Judged:
    sample: Sample
    reading: Reading
    right: bool


def evaluate(
    samples: Sequence[Sample],
    understand: Callable[[Audio], Reading],
    *,
    noise: Noise | None = None,
    tick: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Understand every recording whose line has an `intent`; null wants a refusal.

    The result is ready for JSON: `accuracy`, `n`, its interval, the same `by` source, speaker, age
    and intent, the mistakes in `wrong`, and `unreadable`. Raises `ManifestError` where no line has
    an intent.
    """
    labelled = [sample for sample in samples if "intent" in sample.about]
    if not labelled:
        raise ManifestError('no line of the manifest has an "intent" (a name, or null)')
    unreadable: list[str] = []
    judged = []
    for sample, audio in heard(labelled, noise, unreadable):
        reading = understand(audio)
        judged.append(_Judged(sample, reading, is_right(reading, sample.about)))
        tick()
    by = {
        group: {name: _accuracy(members) for name, members in _groups(judged, group)}
        for group in GROUPS
        if any(group in each.sample.about for each in judged)
    }
    wrong = [_mistake(each) for each in judged if not each.right]
    return {**_accuracy(judged), "by": by, "wrong": wrong, "unreadable": unreadable}


def is_right(reading: Reading, label: Mapping[str, Any]) -> bool:
    """Whether intent and every labelled slot match; a bare handler's name is enough."""
    wanted = label["intent"]
    if wanted is None or reading.intent is None:
        return wanted is reading.intent
    if reading.intent != wanted and not reading.intent.endswith(f".{wanted}"):
        return False
    slots = label.get("slots") or {}
    return all(
        name in reading.slots and same(reading.slots[name], value) for name, value in slots.items()
    )


def same(ours: Any, theirs: Any) -> bool:
    """Whether two values are said alike: 5, 5.0, "5" and "five" are."""
    if isinstance(ours, list | tuple) and isinstance(theirs, list | tuple):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return ours == theirs or _said(ours) == _said(theirs)


def _said(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return spoken(text) or text.strip().lower()


def _accuracy(judged: Sequence[_Judged]) -> dict[str, Any]:
    counts = [(str(e.sample.about.get("speaker", "")), float(e.right), 1.0) for e in judged]
    share = sum(each.right for each in judged) / max(1, len(judged))
    return {"accuracy": round(share, 4), "n": len(judged), "accuracy_interval": interval(counts)}


def _groups(judged: Sequence[_Judged], group: str) -> list[tuple[str, list[_Judged]]]:
    members: dict[str, list[_Judged]] = {}
    for each in judged:
        name = each.sample.about.get(group)
        unnamed = NONE if group == "intent" else "unknown"
        members.setdefault(unnamed if name in (None, "") else str(name), []).append(each)
    return sorted(members.items())


def _mistake(judged: _Judged) -> dict[str, Any]:
    label, reading = judged.sample.about, judged.reading
    return {
        "file": judged.sample.name,
        "wanted": {"intent": label["intent"], "slots": label.get("slots") or {}},
        "got": {"intent": reading.intent, "slots": dict(reading.slots)},
        "transcript": reading.transcript,
    }
