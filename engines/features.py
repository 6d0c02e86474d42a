"""Whisper's log-mel features, in numpy alone.

Source: Radford et al. 2022, section 2.2; 25 ms Hann windows every 10 ms, Slaney mel scale.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
WINDOW = 400
"""Samples in one analysis window (25 ms)."""
HOP = 160
"""Samples between two frames (10 ms)."""
DYNAMIC_RANGE = 8.0
"""Decades kept below the loudest value of a clip."""


def log_mel(
    audio: NDArray[np.floating], mels: int = 80, *, warp: float = 1.0
) -> NDArray[np.float32]:
    """Log-mel features of mono audio at 16 kHz in -1..1.

    `audio` is [samples]; the result is [mels, samples // 160], scaled as Whisper expects. A `warp`
    above 1 hears every frequency that much higher, as from a shorter vocal tract. Raises
    `ValueError` for audio that is not one-dimensional or shorter than one window.
    """
    if audio.ndim != 1 or len(audio) < WINDOW:
        raise ValueError(f"need mono audio of at least {WINDOW} samples, got shape {audio.shape}")
    decades = np.log10(np.maximum(mel_power(audio, mels, warp=warp), 1e-10))
    decades = np.maximum(decades, decades.max() - DYNAMIC_RANGE)
    return np.asarray((decades + 4.0) / 4.0, np.float32)


def mel_power(
    audio: NDArray[np.floating], mels: int = 80, *, warp: float = 1.0
) -> NDArray[np.float32]:
    """Power in each mel band: [samples] -> [mels, samples // 160]."""
    # float64: quiet bands are differences of loud ones, and the published features kept them
    padded = np.pad(audio.astype(np.float64, copy=False), WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[:-1:HOP]  # [T, 400]
    count = len(audio) // HOP
    spectrum = np.fft.rfft(frames[:count] * _window(), axis=-1)  # [T, 201]
    power = spectrum.real**2 + spectrum.imag**2
    return (mel_filters(mels, warp) @ power.T).astype(np.float32)


@lru_cache
def _window() -> NDArray[np.float64]:
    return np.hanning(WINDOW + 1)[:-1]


@lru_cache
def mel_filters(mels: int, warp: float = 1.0) -> NDArray[np.float64]:
    """Triangular, area-normalised filters on Slaney's mel scale, 0 to 8 kHz: [mels, 201]."""
    bins_hz = warp * np.linspace(0, SAMPLE_RATE_HZ / 2, WINDOW // 2 + 1)
    edges_hz = _mel_to_hz(np.linspace(0.0, _hz_to_mel(SAMPLE_RATE_HZ / 2), mels + 2))
    width = np.diff(edges_hz)
    distance = edges_hz[:, None] - bins_hz[None, :]  # [mels + 2, 201]
    rising = -distance[:-2] / width[:-1, None]
    falling = distance[2:] / width[1:, None]
    filters = np.maximum(0.0, np.minimum(rising, falling))
    return filters * (2.0 / (edges_hz[2:] - edges_hz[:-2]))[:, None]


_LINEAR_TOP_HZ = 1000.0
_HZ_PER_MEL = 200.0 / 3.0
_LOG_STEP = np.log(6.4) / 27.0


def _hz_to_mel(hz: float) -> float:
    if hz < _LINEAR_TOP_HZ:
        return hz / _HZ_PER_MEL
    return float(_LINEAR_TOP_HZ / _HZ_PER_MEL + np.log(hz / _LINEAR_TOP_HZ) / _LOG_STEP)


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    knee = _LINEAR_TOP_HZ / _HZ_PER_MEL
    above = _LINEAR_TOP_HZ * np.exp(_LOG_STEP * (np.maximum(mel, knee) - knee))
    return np.where(mel < knee, mel * _HZ_PER_MEL, above)
