"""Recordings: any format soundfile reads, any rate, any number of channels."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from assistant.errors import UserError
from assistant.turn import SAMPLE_RATE_HZ

RATES_HZ = range(1000, 768_001)
STDIN_LIMIT_BYTES = 256 << 20
"""A recording on standard input is held in memory as it came; a longer one belongs in a file."""
_BLOCK_VALUES = 1 << 18
"""Values read at once, over all channels: bounds the memory whatever a header claims."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording, ready for the engine."""

    samples: NDArray[np.int16]
    """Mono at `SAMPLE_RATE_HZ`, shape [samples], never empty."""
    seconds_total: float
    """Length of the whole recording, of which `samples` may be the beginning."""
    cut: bool
    """Whether the recording is longer than `samples`."""


def load_audio(
    file: Path | str, max_seconds: float | None = None, stdin: BinaryIO | None = None
) -> Recording:
    """Read a recording, or the bytes of one on standard input for `-`.

    At most `max_seconds` are read and kept, so a very long file costs no memory. Raises `UserError`
    for a file that is missing, is no recording, is damaged or holds no sound.
    """
    name = "standard input" if str(file) == "-" else str(file)
    origin = _slurp(stdin or sys.stdin.buffer) if str(file) == "-" else Path(file)
    limit = round(max_seconds * SAMPLE_RATE_HZ) if max_seconds is not None else sys.maxsize
    parts, length = [], 0
    for block in blocks(origin):
        parts.append(block[: limit - length])
        length += len(block)
        if length > limit:
            break
    if not length:
        raise UserError(f"{name} holds no sound: is the recording empty?")
    cut = length > limit
    seconds = _claimed_seconds(origin, at_least=length) if cut else length / SAMPLE_RATE_HZ
    return Recording(np.concatenate(parts), seconds, cut)


def blocks(origin: Path | BytesIO) -> Iterator[NDArray[np.int16]]:
    """Yield the sound of a recording, mono at `SAMPLE_RATE_HZ`, in blocks of bounded size.

    Sixteen-bit mono at that rate passes unchanged. Raises `UserError`.
    """
    name = _name(origin)
    if isinstance(origin, Path) and not origin.exists():
        raise UserError(f"{name}: no such file")
    try:
        with soundfile.SoundFile(origin) as file:
            yield from decode(file, name)
    except (soundfile.SoundFileError, OSError, TypeError, ValueError) as error:
        # what is read from a pipe has no name but an address
        reason = str(error).removeprefix(f"Error opening {origin!r}: ").removesuffix(".")
        raise UserError(f"{name} cannot be read as a recording: {reason}") from error


def to_mono(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mix channels by their mean: [samples, channels] → [samples]."""
    return values[:, 0] if values.shape[1] == 1 else values.mean(axis=1, dtype=np.float32)


def to_int16(values: NDArray[np.float32]) -> NDArray[np.int16]:
    """Round samples in -1…1 to 16 bits; what lies outside is clipped, what is no number is 0."""
    scaled = np.nan_to_num(values * 32768, nan=0.0, posinf=32767, neginf=-32768)
    return np.clip(np.rint(scaled), -32768, 32767).astype(np.int16)


def decode(file: soundfile.SoundFile, name: str) -> Iterator[NDArray[np.int16]]:
    """Yield an open file's sound as `blocks` does; raises `UserError`, which calls it `name`."""
    if file.samplerate not in RATES_HZ:
        raise UserError(f"{name}: a rate of {file.samplerate} Hz is not sound; convert it first")
    resampler = None
    if file.samplerate != SAMPLE_RATE_HZ:
        resampler = soxr.ResampleStream(file.samplerate, SAMPLE_RATE_HZ, 1, dtype="float32")
    size = max(1, _BLOCK_VALUES // file.channels)
    while True:
        values = file.read(size, dtype="float32", always_2d=True)
        last = len(values) < size
        mono = to_mono(values)
        if resampler:
            mono = resampler.resample_chunk(np.ascontiguousarray(mono), last=last)
        if len(mono):
            yield to_int16(mono)
        if last:
            return


def _slurp(stream: BinaryIO) -> BytesIO:
    data = stream.read(STDIN_LIMIT_BYTES + 1)
    if len(data) > STDIN_LIMIT_BYTES:
        limit_mb = STDIN_LIMIT_BYTES >> 20
        raise UserError(f"standard input holds more than {limit_mb} MB: give a file instead")
    return BytesIO(data)


def _claimed_seconds(origin: Path | BytesIO, at_least: int) -> float:
    """Return the length the header tells, which nobody can trust to be more than a hint."""
    if isinstance(origin, BytesIO):
        origin.seek(0)
    with soundfile.SoundFile(origin) as file:
        return max(float(file.frames / file.samplerate), at_least / SAMPLE_RATE_HZ)


def _name(origin: Path | BytesIO) -> str:
    return "standard input" if isinstance(origin, BytesIO) else str(origin)
