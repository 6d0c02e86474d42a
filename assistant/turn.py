"""What every room shares: an utterance becomes a turn, a turn becomes a reply."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
"""Every sound inside the assistant is mono at this rate; sources convert at the door."""


class StartReason(StrEnum):
    """Why an utterance was opened."""

    VOICE = "voice"
    WAKE_WORD = "wake_word"
    PUSH_TO_TALK = "push_to_talk"
    FILE = "file"
    TEXT = "text"


class EndReason(StrEnum):
    """Why an utterance was closed."""

    SILENCE = "silence"
    MAX_UTTERANCE = "max_utterance"
    SOURCE_ENDED = "source_ended"
    NO_SPEECH = "no_speech"
    CANCELLED = "cancelled"
    TEXT = "text"
    """There was no utterance: the words came as text, or the assistant spoke unasked."""
    MUTED = "muted"


@dataclass(frozen=True, slots=True)
class Utterance:
    """One stretch of speech, with the pre-roll before it."""

    audio: NDArray[np.int16]
    """Mono samples at `SAMPLE_RATE_HZ`, shape [samples]."""
    started_by: StartReason
    ended_by: EndReason
    speech_ended_at: float
    """Seconds on the listener's clock at which the last speech frame ended."""

    @property
    def seconds(self) -> float:
        """Length of the audio, pre-roll and closing silence included."""
        return len(self.audio) / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of one turn went, in milliseconds."""

    endpoint: float = 0.0
    """From the last speech frame to the confirmed end of the utterance."""
    encode: float = 0.0
    decode: float = 0.0
    handle: float = 0.0
    """In the intent handlers."""
    total: float = 0.0
    """From the confirmed end of the utterance to the finished reply."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """What the sound of a turn tells of its speaker: measurements, and no guess at who it is.

    None is what cannot be told: nothing can of words that came as text, and of a word or two not
    how quick they are.
    """

    pitch_hz: float | None = None
    """The median fundamental frequency. Men mostly have 85 to 155 Hz, women 165 to 255, children
    more; many are in between."""
    level_dbfs: float | None = None
    """How loud the speech arrives, in decibels below the loudest possible; it tells as much of the
    microphone, and of the way to it."""
    noise_dbfs: float | None = None
    """How loud it is while nobody speaks."""
    words_per_minute: float | None = None
    """From the first word to the last; some 150 are usual."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One exchange: what was heard, where, and what it was understood to be."""

    id: str
    site: str
    transcript: str
    confidence: float = 1.0
    """Mean probability of the transcript's tokens, 0 to 1."""
    last_reply: str = ""
    """What was said last at this site before this turn; empty when nothing was."""
    intent: str | None = None
    slots: Mapping[str, Any] = field(default_factory=dict)
    measure: Callable[[], Speaker] = field(default=Speaker, repr=False, compare=False)
    """Measures the voice, for whoever wants to know; it costs some milliseconds."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a plugin asks back, as far as others need to know it."""

    expects: tuple[str, ...]
    """Answers that are likely, in words or templates."""
    timeout_s: float
    """How long, after the reply, an answer may begin without a wake word."""
    then: str | None = None
    """The plugin's function that takes the answer; None for the handler that asked."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the assistant answers to one turn."""

    turn: Turn
    text: str
    end_reason: EndReason
    passes: int = 0
    """Forward passes of the language model spent on this turn."""
    timings: Timings = field(default_factory=Timings)
    question: Question | None = None
    """What is asked back; `text` then is the question."""
