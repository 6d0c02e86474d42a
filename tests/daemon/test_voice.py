"""What is measured of a voice."""

import numpy as np
import pytest
from numpy.typing import NDArray

from assistant.turn import SAMPLE_RATE_HZ, Speaker
from assistant.voice import measure
from tests.audio.support import noise, silence, spoken


def voice(seconds: float, pitch_hz: float, level: float = 3000) -> NDArray[np.int16]:
    """A buzz with the falling harmonics of a voice, and a vibrato of two in a hundred."""
    times = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    phase = 2 * np.pi * pitch_hz * (times + 0.02 / 30 * np.sin(30 * times))
    wave = sum(np.sin(n * phase) / n for n in range(1, 9) if n * pitch_hz < SAMPLE_RATE_HZ / 2)
    return (level * wave).astype(np.int16)


def around(sound: NDArray[np.int16], floor: float = 20) -> NDArray[np.int16]:
    """With half a second before, and 0.7 s after it, in a room that is not quite quiet."""
    padded = np.concatenate([silence(0.5), sound, silence(0.7)])
    return padded + noise(len(padded) / SAMPLE_RATE_HZ, floor)


@pytest.mark.parametrize("pitch_hz", [75, 110, 160, 230, 330, 450])
@pytest.mark.parametrize("floor", [20, 300])
def test_the_pitch_of_a_voice_is_found_without_and_with_noise(pitch_hz: float, floor: float):
    assert measure(around(voice(1, pitch_hz), floor)).pitch_hz == pytest.approx(pitch_hz, rel=0.03)


def test_what_is_no_voice_has_no_pitch():
    assert measure(around(noise(1, 3000))).pitch_hz is None
    assert measure(around(voice(0.08, 150))).pitch_hz is None


def test_levels_are_those_of_the_speech_and_of_the_rest():
    times = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    tone = (0.1 * 32768 * np.sqrt(2) * np.sin(2 * np.pi * 200 * times)).astype(np.int16)
    found = measure(around(tone, floor=32.768))
    assert found.level_dbfs == pytest.approx(-20, abs=0.3)
    assert found.noise_dbfs == pytest.approx(-60, abs=1.5)
    louder = measure(around(tone // 2, floor=32.768))
    assert found.level_dbfs - louder.level_dbfs == pytest.approx(6, abs=0.3)


def test_an_offset_of_the_microphone_is_not_heard():
    sound = around(voice(1, 140))
    plain, shifted = measure(sound), measure(sound + np.int16(4000))
    assert shifted.pitch_hz == pytest.approx(plain.pitch_hz, rel=0.01)
    assert shifted.level_dbfs == pytest.approx(plain.level_dbfs, abs=0.2)
    assert shifted.noise_dbfs == pytest.approx(plain.noise_dbfs, abs=0.2)


@pytest.mark.parametrize(("words", "pace"), [("one two three four five", 150), ("stop", None)])
def test_the_pace_is_that_of_the_words_between_the_first_and_the_last(words: str, pace: int | None):
    sound = np.concatenate([voice(0.5, 140), silence(1), voice(0.5, 140)])
    found = measure(around(sound), words).words_per_minute
    assert found == (pytest.approx(pace, rel=0.03) if pace else None)


@pytest.mark.parametrize("sound", [silence(0), silence(0.005), silence(2), noise(0.02, 20)])
def test_of_next_to_nothing_next_to_nothing_is_told(sound: NDArray[np.int16]):
    found = measure(sound, "one two three four")
    assert found.pitch_hz is None
    assert found.noise_dbfs is None or found.noise_dbfs < -50


def test_half_a_minute_without_a_breath_is_measured_as_well():
    found = measure(around(voice(30, 140)), "word " * 60)
    assert found.words_per_minute == pytest.approx(120, rel=0.03)
    assert found.pitch_hz == pytest.approx(140, rel=0.03)
    assert found.noise_dbfs < -55


def test_a_shout_into_a_microphone_that_is_too_near_is_still_measured():
    sound = np.clip(around(voice(1, 200)).astype(int) * 30, -32768, 32767).astype(np.int16)
    found = measure(sound)
    assert found.pitch_hz == pytest.approx(200, rel=0.03)
    assert -6 < found.level_dbfs <= 0


def test_spoken_voices_differ_as_they_were_made_to():
    told = "turn on the light in the kitchen and then in the hall"
    low = measure(around(spoken(told, "-v", "en-us", "-p", "10", "-s", "120")), told)
    high = measure(around(spoken(told, "-v", "en-us", "-p", "90", "-s", "220")), told)
    assert 60 < low.pitch_hz < 0.8 * high.pitch_hz < 400
    assert 90 < low.words_per_minute < 0.7 * high.words_per_minute < 300
    assert low != Speaker()
