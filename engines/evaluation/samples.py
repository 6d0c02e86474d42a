"""Recordings to be measured on, from a manifest or from a spoken corpus."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from engines.training.augment import mix
from engines.training.corpus import Corpus
from engines.training.speech import read_speech

Audio = NDArray[np.int16]
"""Mono samples at 16 kHz."""

GROUPS = ("kind", "source", "speaker", "age", "intent")
"""What results are also given by, where the manifest tells."""


class ManifestError(ValueError):
    """A manifest that cannot be used; the message names the file, the line and the remedy."""


class UnreadableError(Exception):
    """A recording that cannot be heard."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One recording and what is known about it."""

    name: str
    about: Mapping[str, Any]
    """The manifest's line: text, speaker, source, age, intent, slots."""
    read: Callable[[], Audio]
    """Loads the sound; raises `UnreadableError`."""


@dataclass(frozen=True, slots=True)
class Noise:
    """A noise that is mixed into every recording, at another place of it for each."""

    audio: Audio
    snr_db: float
    """Ratio of the powers of whole recordings."""

    def __post_init__(self) -> None:
        """Raise `ManifestError` for a noise that is none."""
        if not self.audio.any():
            raise ManifestError("the noise holds no sound: all its samples are zero")

    def over(self, audio: Audio, number: int) -> Audio:
        """Recording `number` with noise."""
        start = number * 7919 * 16 % len(self.audio)
        noise = np.resize(np.roll(self.audio, -start), len(audio)).astype(np.float32)
        mixed = mix(audio.astype(np.float32), noise, self.snr_db)
        return np.clip(mixed, -32768, 32767).astype(np.int16)


def read_samples(manifest: Path, limit: int | None = None) -> list[Sample]:
    """The recordings of a manifest (JSON lines), or of a corpus folder; `limit` evenly spread.

    Raises `ManifestError`, or `CorpusError` for a folder that is no corpus.
    """
    if manifest.is_dir() and not (manifest / "manifest.jsonl").is_file():
        found = list(_of_corpus(manifest))
    else:
        found = list(_of_manifest(manifest / "manifest.jsonl" if manifest.is_dir() else manifest))
    if not found:
        raise ManifestError(f"{manifest} lists no recordings")
    if limit is None or limit >= len(found):
        return found
    return [found[i * len(found) // limit] for i in range(limit)]


def _of_corpus(folder: Path) -> Iterator[Sample]:
    corpus = Corpus(folder)
    for number, clip in enumerate(corpus):
        about = {"text": clip.text, "speaker": clip.speaker, "source": clip.source}
        yield Sample(f"{folder}#{number}", about, lambda clip=clip: np.array(corpus.audio(clip)))  # type: ignore[misc]


_SHAPE = 'a line is like {"file": "a.wav", "text": "hello"}'


def _of_manifest(path: Path) -> Iterator[Sample]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path} cannot be read: {error}; give a file of JSON lines") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ManifestError(f"{path}, line {number}: no JSON ({error}); {_SHAPE}") from error
        if not isinstance(row, dict) or not isinstance(row.get("file"), str) or not row["file"]:
            raise ManifestError(f'{path}, line {number}: names no "file"; {_SHAPE}')
        file = path.parent / row["file"]
        yield Sample(str(row["file"]), row, lambda file=file: _read(file))  # type: ignore[misc]


def _read(file: Path) -> Audio:
    try:
        return read_speech(file)
    except (OSError, soundfile.LibsndfileError) as error:
        raise UnreadableError(str(error)) from error


def heard(
    samples: Sequence[Sample], noise: Noise | None, unreadable: list[str]
) -> Iterator[tuple[Sample, Audio]]:
    """Every recording that can be heard; the names of the others go into `unreadable`."""
    for number, sample in enumerate(samples):
        try:
            audio = sample.read()
        except UnreadableError:
            unreadable.append(sample.name)
            continue
        yield sample, noise.over(audio, number) if noise else audio
