"""A word that wakes the assistant: without it, nothing that is said opens an utterance."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from assistant.errors import UserError
from assistant.settings import WakeSettings


class WakeWord(Protocol):
    """Hears one word, frame by frame."""

    def heard(self, samples: NDArray[np.int16]) -> bool:
        """Whether the word ends in this frame, shape [160] at 16 kHz; frames come in order."""
        ...

    def reset(self) -> None:
        """Forget the past: the next frame does not follow the last."""
        ...


class MicroWakeWord:
    """microWakeWord's streaming models on TensorFlow Lite; some 0.15 ms a frame."""

    def __init__(self, word: str, threshold: float | None) -> None:
        """`word` is one of the bundled; `threshold` replaces the model's own.

        Raises `UserError` where the package is not installed.
        """
        try:
            from pymicro_wakeword import MicroWakeWord as Model
            from pymicro_wakeword import MicroWakeWordFeatures as Features
            from pymicro_wakeword import Model as Known
        except ImportError as error:
            raise UserError(
                f"wake.word needs a package that is not installed: script/setup wake ({error})"
            ) from error
        self._new_features = Features
        self._features = Features()
        self._model = Model.from_builtin(Known(word))
        self._threshold = threshold or self._model.probability_cutoff

    def heard(self, samples: NDArray[np.int16]) -> bool:
        """Judge by the mean of the newest windows."""
        found = False
        for features in self._features.process_streaming(samples.tobytes()):
            probability = self._model.process_streaming_prob(features)
            found = found or (probability or 0.0) > self._threshold
        if found:
            self.reset()
        return found

    def reset(self) -> None:
        """Start afresh, so that one word wakes once."""
        self._features = self._new_features()
        self._model.reset()


def make_wake_word(settings: WakeSettings) -> WakeWord | None:
    """Make the detector that the settings ask for; None where every voice is heard."""
    return MicroWakeWord(settings.word, settings.threshold) if settings.word else None
