"""PortAudio behind two small doors: a list of devices, and one open microphone."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

from assistant.errors import TransientError, UserError
from assistant.turn import SAMPLE_RATE_HZ

CHUNK_S = 0.03
"""Sound handed over by one callback."""

OnChunk = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Device:
    """One input device."""

    index: int
    name: str
    rate_hz: int
    """The rate it prefers."""
    channels: int
    is_default: bool


class Recorder(Protocol):
    """An open microphone."""

    @property
    def device(self) -> Device:
        """What is open, with the rate and the channels it was opened with."""
        ...

    def close(self) -> None:
        """Stop, and let go of the audio system; may block."""
        ...


class Driver(Protocol):
    """What can open a microphone."""

    def open(self, wanted: str | int | None, on_chunk: OnChunk) -> Recorder:
        """Initialise the audio system anew and open a device; may block.

        `on_chunk` is called on a foreign thread with interleaved 16-bit samples. Raises
        `TransientError` when there is no such device now, or it cannot be opened.
        """
        ...


class PortAudio:
    """The driver that listens to real devices.

    PortAudio looks for devices only when it is initialised, so every opening does that.
    """

    def __init__(self) -> None:
        """Raise `UserError` when PyAudio is not installed."""
        self._pyaudio = _import()

    def devices(self) -> list[Device]:
        """Every device that can record."""
        with _quiet_stderr():
            audio = self._pyaudio.PyAudio()
            try:
                return _devices(audio)
            finally:
                audio.terminate()

    def open(self, wanted: str | int | None, on_chunk: OnChunk) -> Recorder:
        """Open the device of that index or with that text in its name, else the default."""
        with _quiet_stderr():
            audio = self._pyaudio.PyAudio()
            try:
                device = choose(_devices(audio), wanted)
                return self._record(audio, device, on_chunk)
            except BaseException:
                audio.terminate()
                raise

    def _record(self, audio: Any, device: Device, on_chunk: OnChunk) -> Recorder:
        def callback(data: bytes, *_: object) -> tuple[None, int]:
            on_chunk(data)
            return None, self._pyaudio.paContinue

        refusal = ""
        for rate_hz, channels in _shapes(device):
            try:
                stream = audio.open(
                    input=True,
                    input_device_index=device.index,
                    rate=rate_hz,
                    channels=channels,
                    format=self._pyaudio.paInt16,
                    frames_per_buffer=round(rate_hz * CHUNK_S),
                    stream_callback=callback,
                )
            except (OSError, ValueError) as error:
                refusal = str(error.args[-1] if error.args else error)
                continue
            opened = Device(device.index, device.name, rate_hz, channels, device.is_default)
            return _Recorder(opened, audio, stream)
        raise TransientError(
            f"microphone {device.name!r} cannot be opened: {refusal} "
            "(is another program using it? see: assistant devices)"
        )


class _Recorder:
    def __init__(self, device: Device, audio: Any, stream: Any) -> None:
        self.device = device
        self._audio = audio
        self._stream = stream

    def close(self) -> None:
        with suppress(OSError):
            self._stream.close()
        self._audio.terminate()


def list_devices() -> list[Device]:
    """Every input device of this machine; raises `UserError` without PyAudio."""
    return PortAudio().devices()


def choose(devices: list[Device], wanted: str | int | None) -> Device:
    """Pick the device of that index, the first with that text in its name, or the default.

    Raises `TransientError`, because the device can be plugged in later.
    """
    if not devices:
        raise TransientError("no microphone: plug one in, or start the sound server")
    match wanted:
        case None:
            found = sorted(devices, key=lambda device: not device.is_default)
        case int():
            found = [device for device in devices if device.index == wanted]
        case _:
            found = [device for device in devices if wanted.lower() in device.name.lower()]
    if not found:
        names = ", ".join(f"{device.index} {device.name!r}" for device in devices)
        raise TransientError(f"no microphone matches {wanted!r}; there are: {names}")
    return found[0]


def _shapes(device: Device) -> Iterator[tuple[int, int]]:
    """Rates and channels to try, the one that needs no conversion first."""
    yield SAMPLE_RATE_HZ, 1
    yield device.rate_hz, 1
    yield device.rate_hz, min(device.channels, 2)
    yield device.rate_hz, device.channels


def _devices(audio: Any) -> list[Device]:
    try:
        default = audio.get_default_input_device_info()["index"]
    except OSError:
        default = None
    infos = [audio.get_device_info_by_index(i) for i in range(audio.get_device_count())]
    return [
        Device(
            index=info["index"],
            name=info["name"],
            rate_hz=round(info["defaultSampleRate"]),
            channels=info["maxInputChannels"],
            is_default=info["index"] == default,
        )
        for info in infos
        if info["maxInputChannels"] > 0
    ]


def _import() -> ModuleType:
    try:
        import pyaudio
    except ImportError as error:
        raise UserError(
            "the microphone needs PyAudio: run script/setup mic in the clone, or "
            "apt-get install gcc python3-dev portaudio19-dev, then pip install '.[mic]' there"
        ) from error
    module: ModuleType = pyaudio
    return module


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Hide what ALSA and JACK write, from C, about every device that is not there.

    It is the whole process's standard error that is silent, so this must be short.
    """
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
