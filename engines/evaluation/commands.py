"""How many spoken commands are understood: intent and slots, or rightly refused."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engines.evaluation.samples import Audio, ManifestError, Noise, Sample, heard
from engines.evaluation.spelling import in_one_spelling
from engines.evaluation.verdicts import Verdict, summary

NONE = "out of domain"


@dataclass(frozen=True, slots=True)
class Reading:
    """What was made of a recording."""

    transcript: str
    intent: str | None
    """`plugin.handler`; none where no plugin would answer."""
    slots: Mapping[str, Any]


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
    an intent, or one has an intent or slots that are none.
    """
    labelled = [sample for sample in samples if "intent" in sample.about]
    if not labelled:
        raise ManifestError('no line of the manifest has an "intent" (a name, or null)')
    for sample in labelled:
        _check(sample)
    unreadable: list[str] = []
    verdicts = []
    for sample, audio in heard(labelled, noise, unreadable):
        reading = understand(audio)
        right = is_right(reading, sample.about)
        verdicts.append(Verdict(sample, right, _mistake(sample.about, reading)))
        tick()
    return {**summary(verdicts, unnamed={"intent": NONE}), "unreadable": unreadable}


def _check(sample: Sample) -> None:
    intent, slots = sample.about["intent"], sample.about.get("slots")
    if intent is not None and (not isinstance(intent, str) or not intent):
        raise ManifestError(f'{sample.name}: "intent" must be a name, or null, not {intent!r}')
    if slots is not None and not isinstance(slots, Mapping):
        raise ManifestError(f'{sample.name}: "slots" must be a table, not {slots!r}')


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
    """Whether two values are said alike: 5, 5.0, "5" and "five" are, "grey" and "gray" too."""
    if isinstance(ours, list | tuple) and isinstance(theirs, list | tuple):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return ours == theirs or _said(ours) == _said(theirs)


def _said(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return in_one_spelling(text) or text.strip().lower()


def _mistake(label: Mapping[str, Any], reading: Reading) -> dict[str, Any]:
    return {
        "wanted": {"intent": label["intent"], "slots": label.get("slots") or {}},
        "got": {"intent": reading.intent, "slots": dict(reading.slots)},
        "transcript": reading.transcript,
    }
