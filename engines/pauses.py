"""Where to end sound that is longer than a model hears: in a pause."""

import logging

import numpy as np
from numpy.typing import NDArray

from engines.features import HOP, SAMPLE_RATE_HZ
from engines.schedule import Floats

SILENCE_SEARCH_S = 5.0
"""Audio that is too long is cut in the quietest place of so much before the limit."""

_log = logging.getLogger(__name__)


def cut(audio: Floats, longest_s: float) -> Floats:
    """Shorten audio [samples] to at most `longest_s`, in a pause, with a warning in the log."""
    end = pause_before(audio, longest_s)
    if end < len(audio):
        _log.warning(
            "audio of %.1f s is over the model's %.0f s; what is behind %.1f s is not heard",
            len(audio) / SAMPLE_RATE_HZ,
            longest_s,
            end / SAMPLE_RATE_HZ,
        )
    return audio[:end]


def pause_before(audio: Floats | NDArray[np.int16], longest_s: float) -> int:
    """Return where to end audio [samples] that is over `longest_s`: in its quietest 20 ms before.

    Of the last seconds before that, and the later of two pauses that are alike.
    """
    most = round(longest_s * SAMPLE_RATE_HZ)
    if len(audio) <= most:
        return len(audio)
    step = 2 * HOP
    first = max(0, most - round(SILENCE_SEARCH_S * SAMPLE_RATE_HZ))
    windows = audio[first : first + (most - first) // step * step].reshape(-1, step)
    loudness = np.square(windows.astype(np.float32)).mean(axis=1)
    return first + (len(loudness) - int(loudness[::-1].argmin())) * step
