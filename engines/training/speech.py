"""Stage `speech`: sentences × voices, and human recordings, as one spoken corpus."""

import errno
import random
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from engines.training.corpus import CorpusWriter
from engines.training.recordings import read_recordings
from engines.training.text import MAX_WORDS, spoken
from engines.training.voices import SAMPLE_RATE_HZ, Voice, VoiceError, engines, pick, speak

MAX_SECONDS = 10.0
CHUNK = 64
"""Sentences that one process speaks at a time, with one seed."""


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence to be said."""

    text: str
    source: str


def held_out(text: str) -> bool:
    """Whether a sentence (in spoken form) is kept for measuring; one in fifty is."""
    return zlib.crc32(text.encode()) % 50 == 0


def choose(sources: Iterable[tuple[str, str]], limits: dict[str, int], seed: int) -> list[Line]:
    """Distinct sayable sentences that training may use, at most `limits[source]` of each source."""
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    pools: dict[str, dict[str, None]] = {}
    for source, written in sources:
        text = spoken(written)
        if 0 < len(text.split()) <= MAX_WORDS and not held_out(text):
            pools.setdefault(source, {})[text] = None
    lines = []
    for source, pool in pools.items():
        texts = list(pool)
        rng.shuffle(texts)
        lines += [Line(text, source) for text in texts[: limits.get(source, len(texts))]]
    rng.shuffle(lines)
    return lines


def salad(texts: Iterable[str], count: int, seed: int) -> list[Line]:
    """Sentences of random words of `texts`, each word as likely as any other.

    Real sentences teach what is likely to be said next to what; these, to hear words that nobody
    expects, as they stand in a plugin that is written tomorrow.
    """
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    words = sorted({word for text in texts for word in text.split() if len(word) > 1})
    made = (" ".join(rng.choices(words, k=rng.randint(1, 6))) for _ in range(count if words else 0))
    return [Line(text, "salad") for text in dict.fromkeys(made) if not held_out(text)]


def synthesise(
    lines: list[Line], folder: Path, *, seed: int, workers: int
) -> Iterator[Counter[str]]:
    """Speak every line in a random voice into the corpus at `folder`.

    Yields running counts (`clips`, `failed`) after each chunk, for a progress bar. A line that no
    engine can say is counted and skipped; no engine at all raises `VoiceError`.
    """
    available = engines()
    chunks = [lines[i : i + CHUNK] for i in range(0, len(lines), CHUNK)]
    counts: Counter[str] = Counter()
    with CorpusWriter(folder) as writer, ProcessPoolExecutor(workers) as pool:
        tasks = ((chunk, seed + number, available) for number, chunk in enumerate(chunks))
        for spoken_chunk in pool.map(_speak_chunk, tasks):
            for line, voice, audio in spoken_chunk:
                if audio is None:
                    counts["failed"] += 1
                    continue
                pace = voice.words_per_minute
                writer.add(
                    audio,
                    text=line.text,
                    speaker=voice.key,
                    source=line.source,
                    gender=voice.gender,
                    pace="slow" if pace < 150 else "fast" if pace > 190 else "normal",
                )
                counts["clips"] += 1
            writer.flush()
            yield counts


def _speak_chunk(
    task: tuple[list[Line], int, list[str]],
) -> list[tuple[Line, Voice, NDArray[np.int16] | None]]:
    lines, seed, available = task
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    result: list[tuple[Line, Voice, NDArray[np.int16] | None]] = []
    for line in lines:
        voice = pick(rng, available)
        try:
            audio = speak(voice, line.text)
        except VoiceError:
            result.append((line, voice, None))
            continue
        short = len(audio) <= MAX_SECONDS * SAMPLE_RATE_HZ
        result.append((line, voice, audio if short else None))
    return result


def human_recordings(
    manifest: Path, folder: Path, held_out_speakers: frozenset[str], *, sentences: bool
) -> Counter[str]:
    """Copy the transcribed human recordings of a manifest into the corpus at `folder`.

    With `sentences` those of whole sentences, else those of single words and phrases: there are
    more of the latter, and they would crowd out the sentences. Speakers in `held_out_speakers` are
    left out. Returns counts of `clips`, `held_out`, `unreadable`, `unused` (no checked text, or too
    long) and `malformed` (lines of the manifest).
    """
    rows, malformed = read_recordings(manifest)
    counts = Counter({"malformed": malformed} if malformed else {})
    with CorpusWriter(folder) as writer:
        for row in rows:
            if (row.kind == "read") is not sentences:
                continue
            if row.speaker in held_out_speakers:
                counts["held_out"] += 1
                continue
            if not row.text or row.seconds > 16 or row.kind.startswith("prompt"):
                counts["unused"] += 1
                continue
            try:
                audio = read_speech(manifest.parent / row.file)
            except (OSError, soundfile.LibsndfileError):
                counts["unreadable"] += 1
                continue
            source = row.file.partition("/")[0]
            writer.add(audio, text=row.text, speaker=row.speaker, source=source)
            counts["clips"] += 1
    return counts


def read_speech(path: Path) -> NDArray[np.int16]:
    """A recording as mono samples at 16 kHz.

    Raises `OSError` or `soundfile.LibsndfileError` for what cannot be read, for a file without
    samples, and for samples that are no numbers.
    """
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    if not samples.size:
        raise OSError(errno.EINVAL, "it holds no sound", str(path))
    if not np.isfinite(samples).all():
        raise OSError(errno.EINVAL, "some of its samples are no numbers", str(path))
    mono = samples.mean(axis=1)
    if rate != SAMPLE_RATE_HZ:
        mono = soxr.resample(mono, rate, SAMPLE_RATE_HZ)
    return (np.clip(mono, -1, 1) * 32767).astype(np.int16)


def held_out_humans(manifest: Path) -> frozenset[str]:
    """One speaker in eight of the read speech: those whose voices training never hears."""
    rows, _ = read_recordings(manifest)
    speakers = {row.speaker for row in rows if row.kind == "read"}
    return frozenset(s for s in speakers if zlib.crc32(s.encode()) % 8 == 0)
