"""Which frames are speech."""

from collections import deque
from importlib import resources
from typing import Protocol

import numpy as np
import onnxruntime
import webrtcvad
from numpy.typing import NDArray

from assistant.audio.source import FRAME_MS, FRAME_SAMPLES
from assistant.settings import VadSettings
from assistant.turn import SAMPLE_RATE_HZ

_WINDOW = 512
"""Samples (32 ms) that Silero judges at once."""
_CONTEXT = 64
"""Samples before the window that Silero sees again."""
_HISTORY_FRAMES = 32
"""What Silero is shown of the past when its gate opens: ten windows are enough to settle."""
_HOLD_FRAMES = 50
"""How long the gate stays open after webrtcvad last heard something."""
_SILENT_RANGE = 64
"""A frame whose samples differ by less (-60 dBFS) is silence; nothing is run on it."""
_HYSTERESIS = 0.15
"""Speech goes on until the probability is this much below the threshold."""


class Vad(Protocol):
    """Tells speech from everything else, frame by frame."""

    def is_speech(self, samples: NDArray[np.int16]) -> bool:
        """Whether this frame, shape [160] at 16 kHz, is speech; frames come in order."""
        ...

    def reset(self) -> None:
        """Forget the past: the next frame does not follow the last."""
        ...

    def tune(self, threshold: float) -> None:
        """Take more or less for speech from now on, where the detector can be tuned."""
        ...


class WebrtcVad:
    """A few microseconds a frame, but takes a hum for speech."""

    def __init__(self, aggressiveness: int) -> None:
        self._vad = webrtcvad.Vad(aggressiveness)

    def is_speech(self, samples: NDArray[np.int16]) -> bool:
        """Judge the frame."""
        return bool(self._vad.is_speech(samples.tobytes(), SAMPLE_RATE_HZ))

    def reset(self) -> None:
        """Keep the noise floor it has learned: the room is the same."""

    def tune(self, threshold: float) -> None:
        """Go on as before: it knows four modes and no probability."""


class SileroVad:
    """A small recurrent network: sure, a hundred times the cost of webrtcvad."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._session = _session()
        self._hidden = self._cell = np.zeros((1, 1, 128), np.float32)
        self._pending = np.zeros(_CONTEXT, np.float32)
        self._speaking = False

    def tune(self, threshold: float) -> None:
        """Judge the next window by this threshold."""
        self._threshold = threshold

    def is_speech(self, samples: NDArray[np.int16]) -> bool:
        """Judge by the newest whole window; between windows the last judgement stands."""
        return self.hear(samples)

    def hear(self, samples: NDArray[np.int16]) -> bool:
        """As `is_speech`, for any number of samples, shape [samples]."""
        self._pending = np.concatenate([self._pending, samples.astype(np.float32) / 32768])
        count = (len(self._pending) - _CONTEXT) // _WINDOW
        if count:
            starts = np.arange(count)[:, None] * _WINDOW
            windows = self._pending[starts + np.arange(_CONTEXT + _WINDOW)]  # [count, 576]
            self._pending = self._pending[count * _WINDOW :]
            feed = {"input": windows, "h": self._hidden, "c": self._cell}
            probabilities, self._hidden, self._cell = self._session.run(None, feed)
            for probability in probabilities:
                needed = self._threshold - (_HYSTERESIS if self._speaking else 0)
                self._speaking = bool(probability >= max(needed, 0.01))
        return self._speaking

    def reset(self) -> None:
        """Start afresh, after silence."""
        self._hidden = self._cell = np.zeros((1, 1, 128), np.float32)
        self._pending = np.zeros(_CONTEXT, np.float32)
        self._speaking = False


class GatedVad:
    """webrtcvad opens the gate, Silero behind it decides; silence costs next to nothing."""

    def __init__(self, gate: Vad, judge: SileroVad) -> None:
        self._gate = gate
        self._judge = judge
        self._history: deque[NDArray[np.int16]] = deque(maxlen=_HISTORY_FRAMES)
        self._open_for = 0

    def tune(self, threshold: float) -> None:
        """Tune the judge."""
        self._judge.tune(threshold)

    def is_speech(self, samples: NDArray[np.int16]) -> bool:
        """Judge the frame; when the gate opens, Silero first hears what came before."""
        audible = int(samples.max()) - int(samples.min()) >= _SILENT_RANGE
        if audible and self._gate.is_speech(samples):
            was_open, self._open_for = self._open_for > 0, _HOLD_FRAMES
            if not was_open:
                self._judge.reset()
                past = [*self._history, samples]
                self._history.clear()
                return self._judge.hear(np.concatenate(past))
        if self._open_for:
            self._open_for -= 1
            return self._judge.hear(samples)
        self._history.append(samples)
        return False

    def reset(self) -> None:
        """Forget the past and close the gate."""
        self._gate.reset()
        self._judge.reset()
        self._history.clear()
        self._open_for = 0


def make_vad(settings: VadSettings) -> Vad:
    """Build the detector that the settings ask for."""
    match settings.kind:
        case "webrtc":
            return WebrtcVad(settings.aggressiveness)
        case "silero":
            return SileroVad(settings.threshold)
        case "both":
            return GatedVad(WebrtcVad(settings.aggressiveness), SileroVad(settings.threshold))


def holds_speech(samples: NDArray[np.int16], settings: VadSettings, needed_ms: int) -> bool:
    """Whether a recording, shape [samples], holds `needed_ms` of speech in a row."""
    vad, run = make_vad(settings), 0
    for start in range(0, len(samples) - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        run = run + 1 if vad.is_speech(samples[start : start + FRAME_SAMPLES]) else 0
        if run * FRAME_MS >= needed_ms:
            return True
    return False


def _session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    model = resources.files("assistant.audio").joinpath("silero_vad.onnx").read_bytes()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
