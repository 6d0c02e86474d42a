"""Where sound comes from: everything the listener hears arrives as 10 ms frames."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from assistant.audio.files import blocks
from assistant.clock import Clock
from assistant.errors import UserError
from assistant.turn import SAMPLE_RATE_HZ

FRAME_MS = 10
FRAME_SAMPLES = SAMPLE_RATE_HZ * FRAME_MS // 1000
FRAME_S = FRAME_MS / 1000
BATCH_FRAMES = 3
"""Frames handed over for one wake-up of the event loop: sixty wake-ups fewer each second."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Ten milliseconds of sound."""

    samples: NDArray[np.int16]
    """Mono at `SAMPLE_RATE_HZ`, shape [160]."""
    at: float
    """Seconds on the source's clock at which the frame ended."""


class Source(Protocol):
    """An open door for sound, used as an asynchronous context manager."""

    @property
    def live(self) -> bool:
        """Whether sound keeps coming unheard when nobody reads; else the source waits."""
        ...

    @property
    def dropped_frames(self) -> int:
        """Frames lost because nobody read them in time."""
        ...

    def describe(self) -> str:
        """Which device or file is heard, for people."""
        ...

    def frames(self) -> AsyncIterator[Frame]:
        """Every frame, until the source ends; a microphone never does."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Framer:
    """Cuts chunks of any length into frames and gives each its time."""

    def __init__(self) -> None:
        self._rest = np.empty(0, np.int16)
        self._at = float("-inf")

    def push(self, samples: NDArray[np.int16], at: float) -> list[Frame]:
        """Take `samples` of which the last was heard at `at` seconds; times never go back."""
        joined = np.concatenate([self._rest, samples])
        count = len(joined) // FRAME_SAMPLES
        whole, self._rest = np.split(joined, [count * FRAME_SAMPLES])
        newest = at - len(self._rest) / SAMPLE_RATE_HZ
        frames = []
        for index, row in enumerate(whole.reshape(count, FRAME_SAMPLES), start=1):
            self._at = max(self._at, newest - (count - index) * FRAME_S)
            frames.append(Frame(row, self._at))
        return frames


class FileSource:
    """Recordings played as if they were spoken into a microphone.

    Each is followed by `gap_s` of silence, so that each is an utterance of its own. With
    `realtime` the sound is paced by deadlines on `clock`, which do not drift; without, it runs as
    fast as it is read and `Frame.at` tells the time at which it would have been heard.
    """

    dropped_frames = 0

    def __init__(
        self, paths: Sequence[Path], clock: Clock, *, realtime: bool = True, gap_s: float = 1.5
    ) -> None:
        self._paths = tuple(paths)
        self._clock = clock
        self._gap = np.zeros(round(gap_s * SAMPLE_RATE_HZ), np.int16)
        self._playing = "nothing yet"
        self.live = realtime

    async def __aenter__(self) -> Self:
        """Raise `UserError` when there is nothing to play or a file is missing."""
        if not self._paths:
            raise UserError("no recordings to play: name some in audio.files")
        for path in self._paths:
            if not path.is_file():
                raise UserError(f"{path}: no such recording (see: audio.files)")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is left open."""

    def describe(self) -> str:
        """Name the recording that is playing."""
        return f"file: {self._playing}"

    async def frames(self) -> AsyncIterator[Frame]:
        """Every frame of every recording; raises `UserError` for one that cannot be read."""
        framer, started_at, played = Framer(), self._clock.now(), 0
        sound = self._sound()
        while (chunk := await asyncio.to_thread(next, sound, None)) is not None:
            step = BATCH_FRAMES * FRAME_SAMPLES
            for first in range(0, len(chunk), step):
                batch = chunk[first : first + step]
                played += len(batch)
                at = started_at + played / SAMPLE_RATE_HZ
                if self.live and (wait_s := at - self._clock.now()) > 0:
                    await self._clock.sleep(wait_s)
                for frame in framer.push(batch, at):
                    yield frame

    def _sound(self) -> Iterator[NDArray[np.int16]]:
        for path in self._paths:
            self._playing = path.name
            yield from blocks(path)
            yield self._gap


class StdinSource:
    """Raw PCM (16-bit little-endian, mono, 16 kHz) on standard input.

    A thread reads; when `buffer_ms` of sound is waiting it stops reading, so the program that
    writes has to wait and nothing is dropped here.
    """

    live = False
    dropped_frames = 0

    def __init__(
        self, clock: Clock, *, buffer_ms: int = 2000, stream: BinaryIO | None = None
    ) -> None:
        self._clock = clock
        self._stream = stream or sys.stdin.buffer
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue()  # bounded by the semaphore
        self._room = threading.BoundedSemaphore(max(1, buffer_ms // (BATCH_FRAMES * FRAME_MS)))
        self._closed = threading.Event()

    async def __aenter__(self) -> Self:
        """Start reading; the thread is a daemon because a read of a terminal cannot be undone."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(loop,), name="stdin", daemon=True).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let the thread end at its next chunk."""
        self._closed.set()

    def describe(self) -> str:
        """Name the stream."""
        return "standard input"

    async def frames(self) -> AsyncIterator[Frame]:
        """Every frame until the end of the input; half a sample at its end is left out."""
        framer, odd = Framer(), b""
        while chunk := await self._chunks.get():
            self._room.release()
            chunk = odd + chunk
            even = len(chunk) & ~1
            odd = chunk[even:]
            for frame in framer.push(np.frombuffer(chunk[:even], "<i2"), self._clock.now()):
                yield frame

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        size = BATCH_FRAMES * FRAME_SAMPLES * 2
        with suppress(OSError, ValueError):  # whoever made the pipe may have left it otherwise
            os.set_blocking(self._stream.fileno(), True)
        while not self._closed.is_set():
            if not self._room.acquire(timeout=0.5):
                continue
            try:
                chunk = os.read(self._stream.fileno(), size)
            except (OSError, ValueError):  # it may be closed meanwhile
                chunk = b""
            try:
                loop.call_soon_threadsafe(self._chunks.put_nowait, chunk)
            except RuntimeError:  # the loop is closed: nobody listens any more
                return
            if not chunk:
                return


class Gate:
    """A source that can be muted: then not one frame passes, yet its progress is still seen."""

    def __init__(self, source: Source, clock: Clock) -> None:
        self.source = source
        self.muted = False
        self.progress_at = clock.now()
        """Seconds on the clock at which the last frame arrived, heard or not."""
        self._clock = clock

    async def frames(self) -> AsyncIterator[Frame]:
        """Yield the source's frames while it is not muted."""
        async for frame in self.source.frames():
            self.progress_at = self._clock.now()
            if not self.muted:
                yield frame
