"""People's recordings without their words, labelled by a recogniser that knows more words.

Voices are what a small model lacks most, and most recordings come without a transcript. A
recogniser with a large vocabulary is wrong about every fifth word of them, but it knows which it is
sure of: stretches of sure words are kept, the rest is thrown away. Source of the idea: Kahn et al.
2020 (arXiv 1909.09116).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from engines.training.corpus import CorpusError, CorpusWriter
from engines.training.drafts import Draft
from engines.training.preparation import LABELLED, Step
from engines.training.recordings import read_recordings
from engines.training.runs import RunError
from engines.training.speech import read_speech
from engines.training.text import spoken

SURE = 0.45
"""Probability of a word from which it is kept. Measured on readers whose words are known: 89 in 100
words of the stretches are right then, of all words 80, and two thirds are kept."""
FEWEST_WORDS = 3
LONGEST_S = 9.0
_RATE_HZ = 16_000
_FRAME = 160
"""Samples of a frame of the recogniser."""

Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Word:
    """A word as a recogniser heard it."""

    text: str
    """Empty for a noise or a breath, which nothing is known of."""
    begin: int
    """First sample."""
    end: int
    """First sample after it."""
    probability: float


Recogniser = Callable[[Samples], Sequence[Word]]
"""Gives the words of mono samples at 16 kHz, in order, silences left out."""


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
                kept = list(stretches(recogniser(audio)))
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
        sure = bool(word.text) and word.probability >= SURE
        if run and (not sure or word.end - run[0].begin > LONGEST_S * _RATE_HZ):
            yield from _together(run)
            run = []
        if sure:
            run.append(word)
    yield from _together(run)


def _together(words: Sequence[Word]) -> Iterator[Stretch]:
    if len(words) >= FEWEST_WORDS:
        yield Stretch(" ".join(word.text for word in words), words[0].begin, words[-1].end)


def pocketsphinx() -> Recogniser:
    """CMU PocketSphinx with its own English model; raises `RunError` where it is missing."""
    try:
        from pocketsphinx import Decoder
    except ImportError as error:
        hint = "pip install 'assistant[peers]'"
        raise RunError(f"labelling needs pocketsphinx: {hint}") from error
    decoder = Decoder(samprate=_RATE_HZ, loglevel="FATAL")

    def hear(audio: Samples) -> list[Word]:
        decoder.start_utt()
        decoder.process_raw(audio.tobytes(), no_search=False, full_utt=True)
        decoder.end_utt()
        heard = (
            Word(
                _plain(segment.word),
                segment.start_frame * _FRAME,
                (segment.end_frame + 1) * _FRAME,
                float(segment.prob),
            )
            for segment in decoder.seg() or ()
            if segment.word not in _SILENCES
        )
        return list(heard)

    return hear


_SILENCES = frozenset({"<s>", "</s>", "<sil>", "(NULL)"})


def _plain(word: str) -> str:
    """A word as said: "read(2)" is "read", and "[NOISE]" nothing."""
    return "" if word.startswith(("<", "[", "+")) else spoken(word.partition("(")[0])
