"""A question back at one site: the microphone is open for its answer for a while."""

import asyncio
from collections.abc import Callable

from assistant.clock import Clock
from assistant.mqtt.bus import Bus
from assistant.mqtt.payloads import EventType
from assistant.turn import Question

GRACE_S = 1.0
"""By so much later a voice that began in time may be noticed."""


class FollowUp:
    """The question that waits for its answer, if any: announced, and told when nobody answers.

    A site waits for one answer at a time; a new question takes the place of the one before.
    """

    def __init__(self, bus: Bus, clock: Clock, expect: Callable[[float], None]) -> None:
        """`expect` lets any voice open an utterance for so many seconds from now on; 0 ends it."""
        self._bus, self._clock, self._expect = bus, clock, expect
        self._turn, self._plugin, self._until_s = "", "", 0.0
        self._answering = False
        self._timer: asyncio.Task[None] | None = None

    def ask(self, turn: str, plugin: str, question: Question) -> None:
        """Wait for the answer to what `plugin` asked in its reply to `turn`."""
        self.close()
        self._turn, self._plugin = turn, plugin
        self._until_s = self._clock.now() + question.timeout_s + GRACE_S
        asked = {"expects": list(question.expects), "timeout_s": question.timeout_s}
        self._bus.event(EventType.PLUGIN, turn, plugin=plugin, name="question", data=asked)
        self._expect(question.timeout_s)
        self._timer = asyncio.create_task(self._wait(), name=f"answer to {turn}")

    def speech_began(self) -> str:
        """Give the turn whose question is answered now; empty when none is."""
        self._answering = bool(self._turn) and self._clock.now() <= self._until_s
        return self._turn if self._answering else ""

    def speech_dropped(self) -> None:
        """It was no speech after all, so the question is as open as before."""
        self._answering = False
        if self._turn and self._clock.now() > self._until_s:
            self._lapse()

    def speech_ended(self) -> None:
        """Take what was said for the answer, unless it began before the question was asked."""
        if self._answering:
            self.close()

    def give_up(self) -> None:
        """Wait no longer, and tell that nobody answered."""
        if self._turn:
            self._lapse()

    def close(self) -> None:
        """Wait no longer: it was answered, or another question takes its place."""
        if self._timer is not None:
            self._timer.cancel()
            self._expect(0.0)
        self._turn, self._timer, self._answering = "", None, False

    async def _wait(self) -> None:
        await self._clock.sleep(self._until_s - self._clock.now())
        if not self._answering:
            self._lapse()

    def _lapse(self) -> None:
        turn, plugin = self._turn, self._plugin
        self.close()
        self._bus.event(EventType.PLUGIN, turn, plugin=plugin, name="unanswered", data={})
