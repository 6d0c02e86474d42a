"""What a voice tells without any model: how high, how loud and how quick it is."""

import numpy as np
from numpy.typing import NDArray

from assistant.turn import SAMPLE_RATE_HZ, Speaker

LOWEST_HZ, HIGHEST_HZ = 60.0, 500.0
"""Between a deep bass and a small child."""
_HOP = SAMPLE_RATE_HZ // 100
_WINDOW = 400
_LAGS = int(SAMPLE_RATE_HZ / LOWEST_HZ)
_FFT = 1024
_APERIODIC = 0.2
"""YIN's threshold: what a voiced frame may have that does not repeat, as a share of its power."""
_MOST_FRAMES = 100
"""In which a pitch is looked for: more of them change the median by little."""
_FEWEST_VOICED = 12
_FEWEST_WORDS = 3
_QUIETEST_DBFS = -90.0
"""Below what 16 bits can tell."""
_SPEECH_OVER_NOISE_DB = 9.0
_SPEECH_BELOW_PEAK_DB = 30.0
_QUIET_BLOCKS = 30
"""The quietest 0.3 s are the noise; an utterance has more of it before and after the speech."""

Floats = NDArray[np.float64]


def measure(audio: NDArray[np.int16], words: str = "") -> Speaker:
    """Measure the speech in `audio`, shape [samples] at `SAMPLE_RATE_HZ`, with something around it.

    `words` are what was understood. Takes some four milliseconds.
    """
    samples = audio.astype(np.float64) / 32768
    count = len(samples) // _HOP
    if not count:
        return Speaker()
    samples -= samples.mean()
    power = (samples[: count * _HOP].reshape(count, _HOP) ** 2).mean(1)  # [count]
    levels = np.maximum(_decibels(power), _QUIETEST_DBFS)
    quiet = min(_QUIET_BLOCKS, -(-count // 5))
    noise = float(np.partition(levels, quiet - 1)[:quiet].mean())
    least = max(noise + _SPEECH_OVER_NOISE_DB, float(levels.max()) - _SPEECH_BELOW_PEAK_DB)
    speech = levels >= least
    if not speech.any():
        return Speaker(noise_dbfs=round(noise, 1))
    level = float(_decibels(power[speech].mean()))
    pitch, pace = _pitch_hz(samples, speech), _words_per_minute(words, speech)
    return Speaker(pitch, round(level, 1), round(noise, 1), pace)


def _decibels(power: Floats) -> Floats:
    return 10 * np.log10(np.maximum(power, 1e-12))


def _words_per_minute(words: str, speech: NDArray[np.bool_]) -> float | None:
    count, where = len(words.split()), np.flatnonzero(speech)
    seconds = (where[-1] - where[0] + 1) * _HOP / SAMPLE_RATE_HZ
    return round(60 * count / seconds) if count >= _FEWEST_WORDS else None


def _pitch_hz(samples: Floats, speech: NDArray[np.bool_]) -> float | None:
    """The median over the voiced frames, after de Cheveigné and Kawahara's YIN (2002)."""
    starts = np.flatnonzero(speech) * _HOP
    starts = starts[starts + _WINDOW + _LAGS <= len(samples)]
    if not len(starts):
        return None
    starts = starts[:: -(-len(starts) // _MOST_FRAMES)]
    frames = samples[starts[:, None] + np.arange(_WINDOW + _LAGS)]  # [n, window + lags]
    differences = _normalised(_difference(frames))  # [n, lags + 1]
    shortest = int(SAMPLE_RATE_HZ / HIGHEST_HZ)
    found = [lag for row in differences if (lag := _first_dip(row, shortest)) is not None]
    if len(found) < _FEWEST_VOICED:
        return None
    return round(SAMPLE_RATE_HZ / float(np.median(found)), 1)


def _difference(frames: Floats) -> Floats:
    """How much each frame differs from itself later: [n, window + lags] to [n, lags + 1]."""
    spectrum = np.fft.rfft(frames, _FFT)
    window = np.conj(np.fft.rfft(frames[:, :_WINDOW], _FFT))
    alike = np.fft.irfft(spectrum * window, _FFT)[:, : _LAGS + 1]
    power = np.concatenate([np.zeros((len(frames), 1)), np.cumsum(frames**2, axis=1)], axis=1)
    later = power[:, _WINDOW : _WINDOW + _LAGS + 1] - power[:, : _LAGS + 1]
    difference: Floats = np.maximum(later + later[:, :1] - 2 * alike, 0.0)
    return difference


def _normalised(difference: Floats) -> Floats:
    """Divide by the mean over all shorter lags, so that no lag is favoured for being short."""
    lags = np.arange(1, difference.shape[1])
    mean = np.cumsum(difference[:, 1:], axis=1) / lags
    rest: Floats = difference[:, 1:] / np.maximum(mean, 1e-12)
    return np.concatenate([np.ones((len(difference), 1)), rest], axis=1)


def _first_dip(row: Floats, shortest: int) -> float | None:
    """The lag of the first dip below the threshold, between samples; None of an unvoiced frame."""
    below = np.flatnonzero(row[shortest:-1] < _APERIODIC)
    if not len(below):
        return None
    lag = shortest + int(below[0])
    while lag + 1 < len(row) - 1 and row[lag + 1] < row[lag]:
        lag += 1
    before, here, after = row[lag - 1 : lag + 2]
    bend = before - 2 * here + after
    return lag + (0.5 * (before - after) / bend if bend > 0 else 0.0)
