"""Sound from strangers."""

from io import BytesIO

import numpy as np
import pytest
import soundfile

from assistant.mqtt.rooms import MAX_SOUND_BYTES
from assistant.satellites import opus
from assistant.satellites.opus import UnfitSoundError, decode, encode
from assistant.turn import SAMPLE_RATE_HZ


def tone(seconds: float) -> np.ndarray:
    times = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (8000 * np.sin(2 * np.pi * 440 * times)).astype(np.int16)


def written(samples: np.ndarray, rate_hz: int = SAMPLE_RATE_HZ, **kind: str) -> bytes:
    stream = BytesIO()
    soundfile.write(stream, samples, rate_hz, **kind)
    return stream.getvalue()


def test_an_utterance_comes_back_a_tenth_of_its_size_and_sounds_the_same():
    said = tone(2.0)
    sent = encode(said)
    heard = decode(sent)
    assert len(sent) < len(said) * 2 / 5
    assert abs(len(heard) - len(said)) < SAMPLE_RATE_HZ / 20
    peak_hz = np.abs(np.fft.rfft(heard[:SAMPLE_RATE_HZ])).argmax()
    assert abs(peak_hz - 440) <= 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no Ogg/Opus"),
        (b"OggS" + b"\0" * 100, "no Ogg/Opus"),
        (encode(tone(1.0))[:200], "no Ogg/Opus|no sound"),
        (b"x" * (MAX_SOUND_BYTES + 1), "over 524288"),
        (written(tone(0.5), format="WAV"), "WAV/PCM_16, not OGG/OPUS"),
        (written(tone(0.5), format="OGG", subtype="VORBIS"), "OGG/VORBIS"),
        (written(np.stack([tone(0.5)] * 2, 1), format="OGG", subtype="OPUS"), "2 channels"),
    ],
)
def test_anything_else_is_one_line(data: bytes, reason: str):
    with pytest.raises(UnfitSoundError, match=reason) as caught:
        decode(data)
    assert "\n" not in str(caught.value)


def test_a_bomb_is_not_unpacked_to_its_end(monkeypatch: pytest.MonkeyPatch):
    """Minutes of silence are a few kilobytes of Opus."""
    minutes = encode(np.zeros(120 * SAMPLE_RATE_HZ, np.int16))
    assert len(minutes) < MAX_SOUND_BYTES
    unpacked = []
    original = opus.decode_file

    def counted(*given):
        for block in original(*given):
            unpacked.append(len(block))
            yield block

    monkeypatch.setattr(opus, "decode_file", counted)
    with pytest.raises(UnfitSoundError, match="more than 32 s"):
        decode(minutes)
    assert sum(unpacked) < 60 * SAMPLE_RATE_HZ
