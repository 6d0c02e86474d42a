"""Utterances as Ogg/Opus, a tenth of their size, and sound from strangers read with care."""

from io import BytesIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from assistant.audio.files import decode as decode_file
from assistant.errors import AssistantError
from assistant.mqtt.rooms import MAX_SOUND_BYTES
from assistant.turn import SAMPLE_RATE_HZ

MAX_SECONDS = 32.0
"""The longest utterance that the settings allow, and a little more."""
_RATES_HZ = (8_000, 12_000, 16_000, 24_000, 48_000)


class UnfitSoundError(AssistantError):
    """Bytes that are no utterance; the message is one line that says why."""


def encode(samples: NDArray[np.int16]) -> bytes:
    """Write an utterance, shape [samples] at `SAMPLE_RATE_HZ`, as one Ogg/Opus stream.

    Takes some ten milliseconds a second of sound: call it in a thread.
    """
    stream = BytesIO()
    soundfile.write(stream, samples, SAMPLE_RATE_HZ, format="OGG", subtype="OPUS")
    return stream.getvalue()


def decode(data: bytes) -> NDArray[np.int16]:
    """Read an utterance, shape [samples] at `SAMPLE_RATE_HZ`; call it in a thread.

    Raises `UnfitSoundError` for anything but mono Ogg/Opus of at most `MAX_SOUND_BYTES` and
    `MAX_SECONDS`, whatever its header says.
    """
    if len(data) > MAX_SOUND_BYTES:
        raise UnfitSoundError(f"{len(data)} bytes of sound, over {MAX_SOUND_BYTES}")
    try:
        with soundfile.SoundFile(BytesIO(data)) as file:
            return _read(file)
    except (soundfile.SoundFileError, OSError, TypeError, ValueError) as error:
        raise UnfitSoundError(f"the sound is no Ogg/Opus: {error}") from error


def _read(file: soundfile.SoundFile) -> NDArray[np.int16]:
    if (file.format, file.subtype) != ("OGG", "OPUS"):
        raise UnfitSoundError(f"the sound is {file.format}/{file.subtype}, not OGG/OPUS")
    if file.channels != 1 or file.samplerate not in _RATES_HZ:
        raise UnfitSoundError(f"{file.channels} channels at {file.samplerate} Hz: one is needed")
    parts, length = [], 0
    for block in decode_file(file, "the sound"):
        parts.append(block)
        length += len(block)
        if length > MAX_SECONDS * SAMPLE_RATE_HZ:
            raise UnfitSoundError(f"more than {MAX_SECONDS:g} s of sound")
    if not length:
        raise UnfitSoundError("there is no sound in it")
    return np.concatenate(parts)
