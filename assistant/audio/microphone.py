"""A microphone that is listened to for months: it may vanish, stall and come back."""

import asyncio
import random
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

import numpy as np
import soxr
import structlog
from numpy.typing import NDArray

from assistant.audio.files import to_int16, to_mono
from assistant.audio.portaudio import CHUNK_S, Device, Driver, PortAudio, Recorder
from assistant.audio.source import FRAME_MS, Frame, Framer
from assistant.clock import Clock
from assistant.errors import TransientError
from assistant.settings import AudioSettings
from assistant.threads import in_thread
from assistant.turn import SAMPLE_RATE_HZ

_log = structlog.get_logger(__name__)

FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 10.0
FIRST_SOUND_S = 3.0
"""How long a device may take to give its first sound: one that is on the radio has to wake up."""
OPEN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 1.0
"""What takes longer in the audio system is given up; its thread is left behind."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A microphone is heard."""

    name: str
    rate_hz: int
    channels: int


@dataclass(frozen=True, slots=True)
class Lost:
    """No microphone is heard."""

    reason: str


@dataclass(frozen=True, slots=True)
class Retrying:
    """It will be opened again."""

    in_s: float


MicrophoneStatus = Opened | Lost | Retrying


@dataclass(frozen=True, slots=True)
class _Chunk:
    data: bytes
    at: float
    device: Device
    """Tells how to read the data, and that a new device begins."""


class Microphone:
    """A `Source` that never ends by itself.

    PortAudio's callback fills a ring of `buffer_ms`; when nobody reads, the oldest chunk is
    dropped and counted. When no sound came for `stall_ms`, or no first one for `FIRST_SOUND_S`, the
    audio system is closed and initialised anew, off the event loop, with jittered back-off, for as
    long as it takes. `on_status` is called on the event loop.
    """

    live = True

    def __init__(
        self,
        settings: AudioSettings,
        clock: Clock,
        *,
        on_status: Callable[[MicrophoneStatus], None] = lambda _: None,
        driver: Driver | None = None,
    ) -> None:
        """Raise `UserError` when PyAudio is not installed."""
        self.dropped_frames = 0
        self.status: Opened | Lost = Lost("not opened yet")
        """The last of `Opened` and `Lost`."""
        self._wanted = settings.device
        self._stall_s = settings.stall_ms / 1000
        self._clock = clock
        self._on_status = on_status
        self._driver = driver or PortAudio()
        self._ring: deque[_Chunk] = deque()
        self._ring_chunks = max(1, int(settings.buffer_ms / 1000 / CHUNK_S))
        self._lock = threading.Lock()
        self._filled = asyncio.Event()
        self._heard_at = 0.0
        self._session = 0
        self._keeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to open the device; sound may come later, or never."""
        self._keeper = asyncio.create_task(self._keep_open(), name="microphone")
        self._keeper.add_done_callback(lambda _: self._filled.set())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the device."""
        if self._keeper:
            self._keeper.cancel()
            await asyncio.wait([self._keeper], timeout=2 * CLOSE_TIMEOUT_S)
            self._keeper = None

    def describe(self) -> str:
        """Name the device that is live, or say why there is none."""
        match self.status:
            case Opened(name, rate_hz, channels):
                plural = "s" if channels > 1 else ""
                return f"microphone: {name} ({rate_hz} Hz, {channels} channel{plural})"
            case Lost(reason):
                return f"microphone: none ({reason})"

    async def frames(self) -> AsyncIterator[Frame]:
        """Every frame as it comes, across devices that come and go."""
        device, convert, framer = None, _Converter(SAMPLE_RATE_HZ, 1), Framer()
        while self._keeper is not None:
            await self._filled.wait()
            self._filled.clear()
            for chunk in self._take():
                if chunk.device is not device:
                    device, framer = chunk.device, Framer()
                    convert = _Converter(device.rate_hz, device.channels)
                for frame in framer.push(convert(chunk.data), chunk.at):
                    yield frame
            if self._keeper is not None and self._keeper.done():
                await self._keeper

    async def _keep_open(self) -> None:
        failures = 0
        while True:
            try:
                recorder = await self._open()
            except TransientError as error:
                self._tell(Lost(str(error)))
            else:
                opened_at = self._heard_at
                try:
                    silent_s = await self._until_stalled(opened_at)
                finally:
                    with suppress(TransientError):
                        await _call(recorder.close, "close", CLOSE_TIMEOUT_S)
                if self._heard_at > opened_at:
                    failures = 0
                self._tell(Lost(f"{recorder.device.name} gave no sound for {silent_s:g} s"))
            ceiling = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2**failures)
            delay = random.uniform(ceiling / 2, ceiling)  # noqa: S311 - jitter is no secret
            failures = min(failures + 1, 10)
            self._tell(Retrying(delay))
            await self._clock.sleep(delay)

    async def _open(self) -> Recorder:
        loop = asyncio.get_running_loop()
        self._session += 1
        session, ready = self._session, threading.Event()
        recorders: list[Recorder] = []

        def on_chunk(data: bytes) -> None:
            if session == self._session and ready.is_set():
                self._put(_Chunk(data, self._clock.now(), recorders[0].device), loop)

        def open_() -> None:
            recorder = self._driver.open(self._wanted, on_chunk)
            with self._lock:
                recorders.append(recorder)
                is_late = session != self._session
            ready.set()
            if is_late:  # nobody else would ever close it
                recorder.close()

        try:
            await _call(open_, "open", OPEN_TIMEOUT_S)
        except BaseException:
            with self._lock:
                self._session += 1
                unheard = [*recorders]  # opened just before it was given up
            for recorder in unheard:
                in_thread(recorder.close, "microphone.close")
            raise
        device = recorders[0].device
        self._heard_at = self._clock.now()
        self._tell(Opened(device.name, device.rate_hz, device.channels))
        return recorders[0]

    async def _until_stalled(self, opened_at: float) -> float:
        """Return, once that long passed without a sound, how long."""
        while True:
            began = self._heard_at > opened_at
            patience_s = self._stall_s if began else max(self._stall_s, FIRST_SOUND_S)
            left_s = self._heard_at + patience_s - self._clock.now()
            if left_s <= 0:
                return patience_s
            # sound that begins meanwhile is given less time
            await self._clock.sleep(min(left_s, self._stall_s))

    def _put(self, chunk: _Chunk, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            self._heard_at = chunk.at
            if len(self._ring) >= self._ring_chunks:
                self._ring.popleft()
                self.dropped_frames += round(CHUNK_S * 1000 / FRAME_MS)
            self._ring.append(chunk)
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            loop.call_soon_threadsafe(self._filled.set)

    def _take(self) -> list[_Chunk]:
        with self._lock:
            chunks = list(self._ring)
            self._ring.clear()
            return chunks

    def _tell(self, status: MicrophoneStatus) -> None:
        match status:
            case Opened():
                self.status = status
                _log.info("microphone opened", device=self.describe())
            case Lost(reason):
                log = _log.debug if status == self.status else _log.warning
                self.status = status
                log("microphone lost; it will be opened again", reason=reason)
        self._on_status(status)


class _Converter:
    """Interleaved samples of one device to mono at our rate."""

    def __init__(self, rate_hz: int, channels: int) -> None:
        self._channels = channels
        self._resampler = None
        if rate_hz != SAMPLE_RATE_HZ:
            self._resampler = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")

    def __call__(self, data: bytes) -> NDArray[np.int16]:
        samples = np.frombuffer(data, np.int16)
        if self._resampler is None and self._channels == 1:
            return samples
        values = samples.astype(np.float32).reshape(-1, self._channels) * np.float32(2**-15)
        mono = to_mono(values)
        if self._resampler is not None:
            mono = self._resampler.resample_chunk(np.ascontiguousarray(mono))
        return to_int16(mono)


async def _call(work: Callable[[], None], name: str, timeout_s: float) -> None:
    """Run `work` on a thread, because the audio system may never return.

    Raises what `work` raises, or `TransientError` after `timeout_s`.
    """
    try:
        async with asyncio.timeout(timeout_s):
            await in_thread(work, f"microphone.{name}")
    except TimeoutError:
        raise TransientError(f"the audio system does not {name} the microphone") from None
