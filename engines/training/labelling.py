"""People's recordings without their words, labelled by a recogniser that knows more words.

Voices are what a small model lacks most, and most recordings come without a transcript. A
recogniser of another make is wrong about some words of them, but it knows which it is sure of:
stretches of sure words are kept, the rest is thrown away. Source of the idea: Kahn et al.
2020 (arXiv 1909.09116).
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from engines.evaluation.peers import Wave, Word
from engines.training.corpus import CorpusError, CorpusWriter
from engines.training.drafts import Draft
from engines.training.preparation import LABELLED, Step
from engines.training.recordings import read_recordings
from engines.training.speech import read_speech
from engines.training.text import spoken

SURE = 0.45
"""Probability of a word from which it is kept. Of readers whose words are known, with PocketSphinx,
89 in 100 words of the stretches are right then, of all words 80, and two thirds are kept."""
FEWEST_WORDS = 3
LONGEST_S = 9.0
_RATE_HZ = 16_000


Recogniser = Callable[[Wave], Sequence[Word]]
"""Gives the words of a recording, such as `Peer.words`."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Words that follow each other, all of them sure."""

    text: str
    begin: int
    end: int


def label(manifest: Path, run: Path, recogniser: Recogniser) -> Iterator[Step]:
    """Make the corpus `labelled` of a run from the recordings of a manifest that have no words.

    Counts `clips`, `unused` and `unreadable` recordings, and `malformed` lines. Raises
    `CorpusError` where there are none, or the recogniser is sure of nothing.
    """
    try:
        recordings, malformed = read_recordings(manifest)
    except OSError as error:
        raise CorpusError(f"{manifest} is no manifest of recordings ({error})") from error
    if not recordings:
        raise CorpusError(f"{manifest} is no manifest of recordings: none of its lines is one")
    wordless = [each for each in recordings if not each.text]
    if not wordless:
        raise CorpusError(f"{manifest}: every recording there has its words")
    counts = Counter({"malformed": malformed} if malformed else {})
    with Draft(run / LABELLED) as draft, CorpusWriter(draft) as writer:
        for done, row in enumerate(wordless, 1):
            try:
                audio = read_speech(manifest.parent / row.file)
            except (OSError, soundfile.LibsndfileError):
                counts["unreadable"] += 1
            else:
                kept = list(stretches(recogniser(np.float32(1 / 32768) * audio)))
                counts["unused"] += not kept
                for each in kept:
                    part = audio[each.begin : each.end]
                    writer.add(part, text=each.text, speaker=row.speaker, source=row.source)
                counts["clips"] += len(kept)
            yield Step(LABELLED, done, len(wordless), counts)
        if not counts["clips"]:
            raise CorpusError(f"{manifest}: of {len(wordless)} recordings no words were sure")


def stretches(words: Sequence[Word]) -> Iterator[Stretch]:
    """The sure words, as long as they follow each other; too few of them are left out."""
    run: list[Word] = []
    for word in words:
        if word.text and word.probability >= SURE:
            run.append(word)
        else:
            yield from _together(run)
            run = []
    yield from _together(run)


def _together(words: Sequence[Word]) -> Iterator[Stretch]:
    """Words as one stretch, or as several, cut where the pauses are longest."""
    if len(words) < FEWEST_WORDS:
        return
    if words[-1].end - words[0].begin <= LONGEST_S * _RATE_HZ:
        text = spoken(" ".join(word.text for word in words))
        yield Stretch(text, words[0].begin, words[-1].end)
        return
    pauses = [after.begin - before.end for before, after in itertools.pairwise(words)]
    inner = range(FEWEST_WORDS, len(words) - FEWEST_WORDS + 1)
    middle = len(words) / 2
    cut = max(inner, key=lambda n: (pauses[n - 1], -abs(n - middle)), default=len(words) // 2)
    yield from _together(words[:cut])
    yield from _together(words[cut:])
