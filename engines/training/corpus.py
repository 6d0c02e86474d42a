"""A spoken corpus on disk: one flat file of samples and one line of JSON for each clip."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

_AUDIO = "audio.s16"
_CLIPS = "clips.jsonl"


class CorpusError(ValueError):
    """A corpus folder that is missing, empty or damaged; the message names it and the remedy."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording: where it lies, what is said, by whom."""

    offset: int
    """First sample in the flat file."""
    samples: int
    text: str
    """Spoken words, as `text.spoken` writes them."""
    speaker: str
    """Engine and voice, or data set and person; the unit of every split."""
    source: str
    gender: str = ""
    pace: str = ""
    """slow, normal or fast, where it is known."""


class Corpus:
    """Clips and their samples, memory-mapped."""

    def __init__(self, folder: Path) -> None:
        try:
            text = (folder / _CLIPS).read_text(encoding="utf-8")
            whole = text[: text.rfind("\n") + 1]  # a kill may have torn the last line
            self.clips = [Clip(**json.loads(line)) for line in whole.splitlines()]
            self._audio = np.memmap(folder / _AUDIO, dtype=np.int16, mode="r")
            total = len(self._audio)
            # a writer killed between two flushes leaves lines whose samples never reached the disk
            self.clips = [clip for clip in self.clips if _is_whole(clip, total)]
        except (OSError, ValueError, TypeError, AttributeError) as error:
            hint = "make one with: assistant train speech"
            raise CorpusError(f"{folder} is no spoken corpus ({error}); {hint}") from error
        if not self.clips:
            raise CorpusError(f"{folder} holds no clips")

    def audio(self, clip: Clip) -> NDArray[np.int16]:
        """The samples of one clip, [samples] at 16 kHz."""
        return self._audio[clip.offset : clip.offset + clip.samples]

    def __iter__(self) -> Iterator[Clip]:
        return iter(self.clips)


def _is_whole(clip: Clip, total: int) -> bool:
    """Whether something is said in it and all its samples are there."""
    inside = clip.offset >= 0 and clip.samples > 0 and clip.offset + clip.samples <= total
    return inside and bool(clip.text.strip())


class CorpusWriter:
    """Appends clips; a folder that already holds some is continued."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._audio = (folder / _AUDIO).open("ab")
        self._clips = (folder / _CLIPS).open("a", encoding="utf-8")
        self._end = self._audio.tell() // 2

    def add(self, audio: NDArray[np.int16], **about: Any) -> None:
        """Append one clip; `about` are the fields of `Clip` but for its place."""
        clip = Clip(offset=self._end, samples=len(audio), **about)
        self._audio.write(audio.tobytes())
        self._clips.write(json.dumps(asdict(clip)) + "\n")
        self._end += len(audio)

    def flush(self) -> None:
        """Put on disk what was added so far, samples first."""
        for file in (self._audio, self._clips):
            file.flush()
            os.fsync(file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.flush()
        self._audio.close()
        self._clips.close()


def hours(clips: Iterable[Clip]) -> float:
    """Length of some clips together."""
    return sum(clip.samples for clip in clips) / 16_000 / 3600
