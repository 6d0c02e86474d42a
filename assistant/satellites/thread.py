"""What was said at a site that its next words may go on from."""

from assistant.clock import Clock
from assistant.mqtt.rooms import MOST_SAID, AnswerPayload

CONTINUED_S = 60.0
"""So long after an answer, others may still be continued from it: "and in the kitchen"."""


class Thread:
    """The last answers that belong together: one, or questions and what was answered to them.

    It goes to the engines with what is said next, so that one that has not heard them, having
    started later, knows what the others know.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._answers: tuple[AnswerPayload, ...] = ()
        self._at = 0.0

    def add(self, answer: AnswerPayload) -> None:
        """Take an answer that was said here."""
        last = self._answers[-1].turn if self._answers else ""
        goes_on = last != "" and answer.answers == last
        self._answers = ((*self._answers, answer) if goes_on else (answer,))[-MOST_SAID:]
        self._at = self._clock.now()

    def before(self, answers: str | None) -> tuple[AnswerPayload, ...]:
        """Give what an utterance goes on from; `answers` is the turn whose question it answers."""
        if not self._answers:
            return ()
        last = self._answers[-1]
        if answers is not None:
            return self._answers if last.turn == answers else ()
        is_open = last.question is None and self._clock.now() - self._at <= CONTINUED_S
        return self._answers if is_open else ()
