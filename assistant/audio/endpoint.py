"""Where an utterance begins and ends: a pure state machine, fed frames.

Time is counted in frames, so a late or dropped frame never moves an end-point; the clock's time
in a frame is only handed on. See `Endpointer` for the rules.
"""

import math
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from assistant.audio.events import Dropped, Ended, Event, Paused, Resumed, Started
from assistant.audio.source import FRAME_MS, Frame
from assistant.settings import EndpointSettings
from assistant.turn import EndReason, StartReason, Utterance

SILENCE_MS = {"quick": 400, "normal": 700, "relaxed": 1250}
DROPOUT_MS = 60
"""A gap this short while speech is starting does not count as silence: VADs miss consonants."""
BLIP_MS = 30
"""Speech shorter than this does not end a silence: a click must not keep an utterance open."""
NO_SPEECH_MS = 6000
"""An utterance opened by command is dropped when nobody speaks for this long."""


class State(StrEnum):
    """Where the endpointer is."""

    QUIET = "quiet"
    STARTING = "starting"
    SPEAKING = "speaking"
    STOPPING = "stopping"


@dataclass(slots=True)
class _Count:
    """What is counted, in frames, of the utterance that is being heard."""

    speech: int = 0
    silent: int = 0
    """Silence in a row, blips included."""
    run: int = 0
    """Speech in a row, in a silence."""
    waited: int = 0
    opened: bool = False
    """Whether `Started` was told."""
    paused: bool = False
    """Whether the last thing told was `Paused`."""
    started_by: StartReason = StartReason.VOICE
    speech_ended_at: float = 0.0


class Endpointer:
    """Turns frames and speech flags into utterances.

    quiet → starting at the first speech frame, or by `open`; → speaking after `start_ms` of
    speech; → stopping at the first silent frame; → quiet after the preset's silence. Every call
    returns the events it caused, in order.

    An utterance that reaches `max_utterance_ms` (pre-roll included) is closed, and no voice opens
    the next one before a full end-silence was heard: a television then costs one turn, not one
    every twenty seconds. The same holds after a cancel, so that the rest of a cancelled sentence
    is not taken for a new one. `open` always works.
    """

    def __init__(self, settings: EndpointSettings) -> None:
        self.configure(settings)
        self._state = State.QUIET
        self._heard: deque[NDArray[np.int16]] = deque()
        self._needs_silence = False
        self._now = _Count()

    def configure(self, settings: EndpointSettings) -> None:
        """Go by other settings from the next frame on."""
        silence_ms = settings.silence_ms or SILENCE_MS[settings.preset]
        self._silence = _frames(silence_ms)
        self._pause = _frames(settings.pause_ms)
        self._preroll = _frames(settings.preroll_ms)
        self._start = _frames(settings.start_ms)
        self._min_speech = _frames(settings.min_speech_ms)
        self._longest = _frames(settings.max_utterance_ms)
        self._dropout = _frames(DROPOUT_MS)
        self._blip = _frames(BLIP_MS)
        self._no_speech = _frames(NO_SPEECH_MS)

    @property
    def state(self) -> State:
        """Where it is now."""
        return self._state

    def audio(self) -> NDArray[np.int16]:
        """Everything kept of the current utterance, or the pre-roll, shape [samples]."""
        return np.concatenate(self._heard) if self._heard else np.empty(0, np.int16)

    def feed(self, frame: Frame, is_speech: bool) -> tuple[Event, ...]:
        """Take the next 10 ms."""
        self._heard.append(frame.samples)
        if is_speech:
            self._now.run += 1
        else:
            self._now.silent += 1
        match self._state:
            case State.QUIET:
                return self._while_quiet(frame, is_speech)
            case State.STARTING:
                return self._while_starting(frame, is_speech)
            case State.SPEAKING:
                return self._while_speaking(frame, is_speech)
            case State.STOPPING:
                return self._while_stopping(frame, is_speech)

    def open(self, reason: StartReason, at: float) -> tuple[Event, ...]:
        """Open an utterance by command at `at` seconds; an open one is kept open instead.

        What was heard before a wake word, and the word itself, is no part of it. It is dropped
        with `NO_SPEECH` when nobody speaks for `NO_SPEECH_MS`.
        """
        self._needs_silence = False
        match self._state:
            case State.QUIET | State.STARTING if not self._now.opened:
                self._state = State.STARTING
                self._now.waited = 0  # clicks in the room have been waited for, too
                self._now.opened = True
                self._now.started_by = reason
                level_dbfs = _level_dbfs(self.audio())
                if reason is StartReason.WAKE_WORD:
                    self._heard.clear()
                return (Started(at, reason, level_dbfs),)
            case State.STOPPING:
                return self._resume(at)
            case _:
                return ()

    def cancel(self, reason: EndReason = EndReason.CANCELLED) -> tuple[Event, ...]:
        """Throw the current utterance away, and the pre-roll with it."""
        was_open = self._now.opened
        unfinished = self._needs_silence or self._state is not State.QUIET
        self._needs_silence = unfinished and reason is EndReason.CANCELLED
        self._reset()
        return (Dropped(reason),) if was_open else ()

    def finish(self, reason: EndReason = EndReason.SOURCE_ENDED) -> tuple[Event, ...]:
        """Close the current utterance now: no more frames are coming."""
        if not self._now.opened:
            self._reset()
            return ()
        return self._close(reason)

    def _while_quiet(self, frame: Frame, is_speech: bool) -> tuple[Event, ...]:
        if self._needs_silence:
            self._heard.clear()
            if self._back_in_speech(is_speech):
                self._now.silent = 0
            elif self._now.silent >= self._silence:
                self._needs_silence = False
        elif is_speech:
            self._state = State.STARTING
            self._now.run = 0
            return self._count_start(frame)
        else:
            self._trim()
        return ()

    def _while_starting(self, frame: Frame, is_speech: bool) -> tuple[Event, ...]:
        self._now.waited += 1
        if is_speech:
            return self._count_start(frame)
        if self._now.silent > self._dropout:
            self._now.speech = 0
            self._trim()
            if not self._now.opened:
                self._state = State.QUIET
        if self._now.opened and self._now.speech == 0 and self._now.waited >= self._no_speech:
            return self._close(EndReason.NO_SPEECH)
        return ()

    def _count_start(self, frame: Frame) -> tuple[Event, ...]:
        self._now.silent = 0
        self._hear_speech(frame)
        if self._now.speech < self._start:
            return ()
        self._state = State.SPEAKING
        if self._now.opened:
            return ()
        self._now.opened = True
        voice = np.concatenate(list(self._heard)[-self._start :])
        return (Started(frame.at, self._now.started_by, _level_dbfs(voice)),)

    def _while_speaking(self, frame: Frame, is_speech: bool) -> tuple[Event, ...]:
        if is_speech:
            self._hear_speech(frame)
        else:
            self._state = State.STOPPING
            self._now.silent = 1
            self._now.run = 0
        return self._close_if_too_long()

    def _while_stopping(self, frame: Frame, is_speech: bool) -> tuple[Event, ...]:
        if self._back_in_speech(is_speech):
            self._now.speech += self._blip - 1
            self._hear_speech(frame)
            return self._resume(frame.at) + self._close_if_too_long()
        if is_speech:
            self._now.silent += 1
        if self._now.silent >= self._silence:
            return self._close(EndReason.SILENCE)
        if self._now.silent >= self._pause and not self._now.paused:
            self._now.paused = True
            return (Paused(self._utterance(EndReason.SILENCE)), *self._close_if_too_long())
        return self._close_if_too_long()

    def _back_in_speech(self, is_speech: bool) -> bool:
        """Whether the speech in a silence is more than a blip."""
        self._now.run = self._now.run if is_speech else 0
        return self._now.run >= self._blip

    def _hear_speech(self, frame: Frame) -> None:
        self._now.speech += 1
        self._now.speech_ended_at = frame.at

    def _resume(self, at: float) -> tuple[Event, ...]:
        was_paused, self._now.paused = self._now.paused, False
        self._state = State.SPEAKING
        return (Resumed(at),) if was_paused else ()

    def _close_if_too_long(self) -> tuple[Event, ...]:
        if len(self._heard) < self._longest:
            return ()
        events = self._close(EndReason.MAX_UTTERANCE)
        self._needs_silence = True
        return events

    def _close(self, reason: EndReason) -> tuple[Event, ...]:
        enough = self._now.speech > 0 and self._now.speech >= self._min_speech
        event = Ended(self._utterance(reason)) if enough else Dropped(EndReason.NO_SPEECH)
        # The closing silence is the next utterance's pre-roll; speech must not be heard twice.
        tail = self._now.silent if self._state is State.STOPPING else 0
        kept = list(self._heard)[-min(tail, self._preroll) :] if tail and self._preroll else []
        self._reset()
        self._heard.extend(kept)
        return (event,)

    def _utterance(self, ended_by: EndReason) -> Utterance:
        return Utterance(self.audio(), self._now.started_by, ended_by, self._now.speech_ended_at)

    def _trim(self) -> None:
        while len(self._heard) > self._preroll:
            self._heard.popleft()

    def _reset(self) -> None:
        self._state = State.QUIET
        self._heard.clear()
        self._now = _Count()


def _frames(milliseconds: int) -> int:
    """Whole frames, rounded up."""
    return -(-milliseconds // FRAME_MS)


def _level_dbfs(samples: NDArray[np.int16]) -> float:
    """Root mean square, shape [samples], in decibels below full scale."""
    power = float(np.mean((samples.astype(np.float64) / 32768) ** 2)) if len(samples) else 0.0
    return round(10 * math.log10(max(power, 1e-12)), 1)
