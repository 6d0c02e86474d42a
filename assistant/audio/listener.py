"""From a source of frames to a stream of events."""

import asyncio
import math
from collections.abc import AsyncGenerator

from assistant.audio.endpoint import Endpointer, State
from assistant.audio.events import Dropped, Ended, Event, Progress, Started
from assistant.audio.mailbox import Mailbox
from assistant.audio.source import FRAME_MS, Frame, Gate, Source
from assistant.audio.vad import Vad
from assistant.audio.wakeword import WakeWord
from assistant.clock import Clock
from assistant.settings import EndpointSettings
from assistant.stopping import end
from assistant.turn import EndReason, StartReason

_GUARD_S = 1.0
WAKE_DEAF_MS = 300
"""What is heard so soon after a wake word may be its end, and opens no speech; it is kept."""


class Listener:
    """Hears a source and tells what it heard.

    A slow reader of `events` never slows a live source down: see `Mailbox` for what it misses.
    """

    def __init__(
        self,
        source: Source,
        vad: Vad,
        endpointer: Endpointer,
        clock: Clock,
        *,
        partial_ms: int = 600,
        wake_word: WakeWord | None = None,
    ) -> None:
        """With a `wake_word` only that word, and commands, open an utterance."""
        self.frames = 0
        """Frames heard, the muted ones not."""
        self.utterances = 0
        """Utterances that held enough speech to be answered."""
        self.dropped = 0
        """Utterances that were started and came to nothing."""
        self._source = source
        self._gate = Gate(source, clock)
        self._vad = vad
        self._endpointer = endpointer
        self._clock = clock
        self._partial = partial_ms // FRAME_MS
        self._since_partial = 0
        self._wake_word = wake_word
        self._deaf_for = 0
        self._expects_until = 0.0
        self._heeds_voices = self._heeds_commands = True
        self._mailbox = Mailbox()

    @property
    def state(self) -> State:
        """Whether somebody speaks."""
        return self._endpointer.state

    @property
    def progress_at(self) -> float:
        """Seconds on the clock at which sound last arrived, muted or not: feed the watchdog."""
        return self._gate.progress_at

    @property
    def dropped_frames(self) -> int:
        """Frames that the source lost."""
        return self._source.dropped_frames

    @property
    def dropped_utterances(self) -> int:
        """Complete utterances that were overtaken before anybody collected them."""
        return self._mailbox.dropped_utterances

    @property
    def muted(self) -> bool:
        """Whether nothing is heard."""
        return self._gate.muted

    async def events(self) -> AsyncGenerator[Event, None]:
        """Hear the source, which must be open, and tell what is heard until it ends.

        Errors of the source are raised. Read it once at a time; it may be read again after an end.
        """
        self._mailbox.reopen()
        self._vad.reset()
        listening = asyncio.create_task(self._listen(), name="listener")
        try:
            while (event := await self._mailbox.get()) is not None:
                yield event
            await listening
        finally:
            await end(listening, _GUARD_S)  # its own end would close what is read next

    def open(self, reason: StartReason = StartReason.PUSH_TO_TALK) -> None:
        """Listen to a person who has not spoken yet; a muted microphone stays muted."""
        if not self.muted and self._heeds_commands:
            self._tell(self._endpointer.open(reason, self._clock.now()))

    def expect(self, seconds: float) -> None:
        """Let any voice open an utterance for so long: somebody was asked something; 0 ends it."""
        self._expects_until = self._clock.now() + seconds if seconds else -math.inf

    def heed(self, *, voices: bool, commands: bool) -> None:
        """Let voices and wake words open an utterance, or not; and commands, or not.

        Answers to a question are heard as long as commands are; without them the utterance that
        is being heard is thrown away.
        """
        self._heeds_voices, self._heeds_commands = voices, commands
        if not commands:
            self.cancel()

    def cancel(self) -> None:
        """Throw away what is being said."""
        self._tell(self._endpointer.cancel())

    def give_up(self) -> None:
        """Throw away what is being said, and what was said and nobody has taken yet."""
        self._mailbox.give_up()
        self.cancel()

    def interrupt(self) -> None:
        """Close the utterance that is being heard, because its sound has stopped coming."""
        self._tell(self._endpointer.finish(EndReason.SOURCE_ENDED))
        self._vad.reset()

    def mute(self, muted: bool) -> None:
        """Stop hearing, or hear again; what was being said is thrown away."""
        if muted == self.muted:
            return
        self._gate.muted = muted
        if self._wake_word is not None:
            self._wake_word.reset()
        self._tell(self._endpointer.cancel(EndReason.MUTED))
        self._vad.reset()

    def tune(
        self, *, threshold: float | None = None, endpoint: EndpointSettings | None = None
    ) -> None:
        """Hear by another threshold of speech, or by other rules for the end of an utterance."""
        if threshold is not None:
            self._vad.tune(threshold)
        if endpoint is not None:
            self._endpointer.configure(endpoint)

    async def _listen(self) -> None:
        guard = asyncio.create_task(self._guard(), name="listener.guard")
        try:
            async for frame in self._gate.frames():
                self._hear(frame)
                if not self._source.live and self._mailbox.is_full:
                    await self._mailbox.room()
        finally:
            guard.cancel()
            self.interrupt()
            self._mailbox.close()

    async def _guard(self) -> None:
        """Close an utterance whose sound stopped coming, so that nobody waits for its end.

        Two checks in a row must see no progress: after a blocked event loop one always does.
        """
        seen, stuck = self.progress_at, 0
        while True:
            await self._clock.sleep(_GUARD_S)
            stuck = stuck + 1 if self.progress_at == seen else 0
            seen = self.progress_at
            if stuck >= 2 and self.state is not State.QUIET:  # noqa: PLR2004
                self.interrupt()

    def _hear(self, frame: Frame) -> None:
        self.frames += 1
        self._tell(self._endpointer.feed(frame, self._is_speech(frame)))
        if self._endpointer.state is not State.SPEAKING:
            return
        self._since_partial += 1
        if self._partial and self._since_partial >= self._partial:
            self._since_partial = 0
            self._mailbox.put(Progress(self._endpointer.audio(), frame.at))

    def _is_speech(self, frame: Frame) -> bool:
        """Whether the frame counts as speech; with a wake word, not before that is heard."""
        expected = frame.at < self._expects_until and self._heeds_commands
        if self._wake_word is None:
            heeded = self._heeds_voices or expected or self.state is not State.QUIET
            return self._vad.is_speech(frame.samples) and heeded
        woken = self._wake_word.heard(frame.samples) and self._heeds_voices
        if self.state is State.QUIET:
            if not woken:
                return expected and self._vad.is_speech(frame.samples)
            self._vad.reset()
            self._deaf_for = WAKE_DEAF_MS // FRAME_MS
            self._tell(self._endpointer.open(StartReason.WAKE_WORD, frame.at))
        is_speech = self._vad.is_speech(frame.samples)
        self._deaf_for = max(0, self._deaf_for - 1)
        return is_speech and not self._deaf_for

    def _tell(self, events: tuple[Event, ...]) -> None:
        for event in events:
            match event:
                case Started():
                    self._since_partial = 0
                case Ended():
                    self.utterances += 1
                case Dropped():
                    self.dropped += 1
            self._mailbox.put(event)
