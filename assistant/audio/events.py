"""What the listener tells the dialogue."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assistant.turn import EndReason, StartReason, Utterance


@dataclass(frozen=True, slots=True)
class Started:
    """An utterance was opened."""

    at: float
    """Seconds on the listener's clock."""
    started_by: StartReason = StartReason.VOICE
    level_dbfs: float = -120.0
    """How loud the voice is, in decibels below the loudest possible sound."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Speech goes on; for partial transcripts."""

    audio: NDArray[np.int16]
    """Everything heard in this utterance so far, pre-roll included, shape [samples]."""
    at: float


@dataclass(frozen=True, slots=True)
class Paused:
    """A short pause: the utterance may be complete, so the engine can start on it."""

    utterance: Utterance


@dataclass(frozen=True, slots=True)
class Resumed:
    """Speech went on after a `Paused`: what was started on it is worthless."""

    at: float


@dataclass(frozen=True, slots=True)
class Ended:
    """An utterance is complete and holds enough speech to be answered."""

    utterance: Utterance


@dataclass(frozen=True, slots=True)
class Dropped:
    """A started utterance will not come: too little speech, cancelled, muted or overtaken."""

    reason: EndReason


Event = Started | Progress | Paused | Resumed | Ended | Dropped
