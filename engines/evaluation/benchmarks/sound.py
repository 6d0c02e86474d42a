"""Recordings as benchmarks distribute them, decoded: any rate and channels to mono at 16 kHz."""

import io
from pathlib import Path

import numpy as np
import soundfile
import soxr

from engines.evaluation.benchmarks.items import Heard, Item, Sound, Wave

SAMPLE_RATE_HZ = 16_000
_RATES_HZ = range(1000, 768_001)
LONGEST_S = 1800.0
"""More of a recording is never decoded, whatever its header claims."""


class SoundError(Exception):
    """A recording that cannot be heard."""


def hear(item: Item) -> Heard:
    """Decode an item's sound; one that cannot be is given with the reason."""
    try:
        return Heard(item, decode(item.sound))
    except SoundError as error:
        return Heard(item, None, str(error))


def decode(sound: Sound) -> Wave:
    """Read a whole recording; raises `SoundError`."""
    if sound is None:
        raise SoundError("the item has no audio")
    if isinstance(sound, Path) and not sound.is_file():
        raise SoundError(f"{sound.name}: no such file")
    try:
        origin = io.BytesIO(sound) if isinstance(sound, bytes) else sound
        with soundfile.SoundFile(origin) as file:
            if file.samplerate not in _RATES_HZ:
                raise SoundError(f"a rate of {file.samplerate} Hz is not sound")
            samples = file.read(round(LONGEST_S * file.samplerate), "float32", always_2d=True)
            rate = file.samplerate
    except (soundfile.SoundFileError, OSError, TypeError, ValueError) as error:
        # the whole message of a library's error names a place in memory, never twice the same
        reason = str(getattr(error, "error_string", error))
        raise SoundError(f"not a recording: {reason.removesuffix('.')}") from error
    mono = samples.mean(axis=1, dtype=np.float32)
    if rate != SAMPLE_RATE_HZ:
        mono = soxr.resample(mono, rate, SAMPLE_RATE_HZ)
    if not len(mono):
        raise SoundError("the recording is empty")
    clean: Wave = np.nan_to_num(mono, nan=0.0, posinf=1.0, neginf=-1.0)
    return clean


def trimmed(wave: Wave, longest_s: float) -> tuple[Wave, bool]:
    """The beginning of a recording, as Whisper's own features take it, and whether more was there.

    The published runs cut without looking for a pause.
    """
    most = round(longest_s * SAMPLE_RATE_HZ)
    return wave[:most], len(wave) > most
