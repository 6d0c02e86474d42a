"""Word and character error rates of transcripts, whole and by group."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from engines.evaluation.errors import ErrorRate, character_errors, word_errors
from engines.evaluation.intervals import interval
from engines.evaluation.samples import GROUPS, Audio, Noise, Sample, heard
from engines.evaluation.spelling import in_one_spelling


@dataclass(frozen=True, slots=True)
class Transcript:
    """One recording, heard."""

    sample: Sample
    words: ErrorRate
    characters: ErrorRate


def evaluate(
    samples: Sequence[Sample],
    hear: Callable[[Audio], str],
    *,
    noise: Noise | None = None,
    tick: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Transcribe every recording and compare it, both as they are said and in one spelling.

    The result is ready for JSON: `wer`, `cer`, `n`, their intervals, and the same `by` source,
    speaker and age. Recordings that cannot be read are in `unreadable`, those without a text are
    counted in `untold`. `tick` is called after each recording.
    """
    unreadable: list[str] = []
    transcripts, untold = [], 0
    for sample, audio in heard(samples, noise, unreadable):
        if reference := in_one_spelling(str(sample.about.get("text") or "")):
            pair = [(reference, in_one_spelling(hear(audio)))]
            transcripts.append(Transcript(sample, word_errors(pair), character_errors(pair)))
        else:
            untold += 1
        tick()
    by = {
        group: {name: _rates(members) for name, members in _groups(transcripts, group)}
        for group in GROUPS
        if any(each.sample.about.get(group) for each in transcripts)
    }
    return {**_rates(transcripts), "by": by, "untold": untold, "unreadable": unreadable}


def _rates(transcripts: Sequence[Transcript]) -> dict[str, Any]:
    words = [_counts(each, each.words) for each in transcripts]
    characters = [_counts(each, each.characters) for each in transcripts]
    return {
        "wer": _rate(words),
        "cer": _rate(characters),
        "n": len(transcripts),
        "wer_interval": interval(words),
        "cer_interval": interval(characters),
    }


def _counts(transcript: Transcript, errors: ErrorRate) -> tuple[str, float, float]:
    return str(transcript.sample.about.get("speaker", "")), errors.edits, errors.length


def _rate(counts: Sequence[tuple[str, float, float]]) -> float:
    return round(sum(top for _, top, _ in counts) / max(1, sum(b for _, _, b in counts)), 4)


def _groups(
    transcripts: Iterable[Transcript], group: str
) -> Iterable[tuple[str, list[Transcript]]]:
    members: dict[str, list[Transcript]] = {}
    for each in transcripts:
        name = each.sample.about.get(group)
        members.setdefault("unknown" if name in (None, "") else str(name), []).append(each)
    return sorted(members.items())
