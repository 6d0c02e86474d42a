"""What the tests of this room share: a clock that only they move, and sounds."""

import asyncio
import heapq
import io
import itertools
import subprocess
from collections.abc import AsyncIterator, Iterable
from typing import Self

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from assistant.audio.source import FRAME_S, FRAME_SAMPLES, Frame


class FakeClock:
    """Time that passes only when `advance` says so."""

    def __init__(self, at: float = 100.0) -> None:
        self._now = at
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        waker = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), waker))
        await waker

    async def advance(self, seconds: float) -> None:
        until = self._now + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= until + 1e-9:
            self._now, _, waker = heapq.heappop(self._sleepers)
            if not waker.done():
                waker.set_result(None)
            await settle()
        self._now = until


async def settle(turns: int = 30) -> None:
    """Let every task that can run, run."""
    for _ in range(turns):
        await asyncio.sleep(0)


class FakeSource:
    """Frames made beforehand, given all at once."""

    dropped_frames = 0

    def __init__(self, sound: NDArray[np.int16], *, live: bool = True) -> None:
        self.live = live
        self._frames = list(frames_of(sound))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def describe(self) -> str:
        return "fake"

    async def frames(self) -> AsyncIterator[Frame]:
        for frame in self._frames:
            yield frame


class LoudIsSpeech:
    """A detector that a test can read."""

    def __init__(self) -> None:
        self.heard = 0

    def is_speech(self, samples: NDArray[np.int16]) -> bool:
        self.heard += 1
        return bool(samples.max() > 1000)

    def reset(self) -> None:
        pass


def frames_of(sound: NDArray[np.int16]) -> Iterable[Frame]:
    count = len(sound) // FRAME_SAMPLES
    rows = sound[: count * FRAME_SAMPLES].reshape(count, FRAME_SAMPLES)
    return [Frame(row, (index + 1) * FRAME_S) for index, row in enumerate(rows)]


def silence(seconds: float) -> NDArray[np.int16]:
    return np.zeros(round(seconds * 16000), np.int16)


def loud(seconds: float) -> NDArray[np.int16]:
    return np.full(round(seconds * 16000), 5000, np.int16)


def noise(seconds: float, level: float) -> NDArray[np.int16]:
    values = np.random.default_rng(7).standard_normal(round(seconds * 16000)) * level
    return np.clip(values, -32768, 32767).astype(np.int16)


def hum(seconds: float, level: float, pitch_hz: float = 120) -> NDArray[np.int16]:
    times = np.arange(round(seconds * 16000)) / 16000
    return (level * np.sin(2 * np.pi * pitch_hz * times)).astype(np.int16)


def spoken(text: str, *voice: str) -> NDArray[np.int16]:
    command = ["espeak-ng", *voice, "--stdout", text]
    wav = subprocess.run(command, capture_output=True, check=True).stdout
    values, rate_hz = soundfile.read(io.BytesIO(wav), dtype="float32")
    return (soxr.resample(values, rate_hz, 16000) * 32767).astype(np.int16)
