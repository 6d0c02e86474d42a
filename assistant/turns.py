"""The turns of one site as hubs see them: heard, in hand, answered, failed, and asked back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from assistant.clock import Clock
from assistant.follow_up import FollowUp
from assistant.mqtt.bus import Bus
from assistant.mqtt.payloads import EventType, ReplyPayload
from assistant.standing import Standing
from assistant.turn import EndReason, Question, Reply, StartReason, Turn, Utterance


@dataclass
class Counters:
    """What became of the utterances."""

    turns: int = 0
    replies: int = 0
    wordless: int = 0
    """Utterances in which the model heard no words."""
    cancelled: int = 0
    failed: int = 0
    """Turns with an error event: the engine or a plugin failed, or took too long."""


class Turns:
    """Publishes what becomes of the turns of a site and counts it, whoever answers them."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        counters: Counters,
        *,
        site: str,
        new_id: Callable[[], str],
        expect: Callable[[float], None],
    ) -> None:
        """`expect` is told for how many seconds an answer to a question is waited for."""
        self.heard = ""
        """The turn that is being spoken, or that was last."""
        self._bus, self._counters, self._site, self._new_id = bus, counters, site, new_id
        self._follow_up, self._standing = FollowUp(bus, clock, expect), Standing(bus)

    @property
    def hearing(self) -> bool:
        """Whether somebody speaks now."""
        return self._standing.hearing is not None

    def began(self, started_by: StartReason) -> str:
        """Begin a turn; gives the turn whose question it answers, empty for none."""
        self.heard = self._standing.hearing = self._new_id()
        answers = self._follow_up.speech_began()
        if started_by is StartReason.WAKE_WORD:
            self._bus.event(EventType.WAKE, self.heard)
        self._bus.event(EventType.SPEECH_START, self.heard, started_by=started_by.value)
        self._standing.settle()
        return answers

    def dropped(self, **told: Any) -> None:
        """Give up what was being spoken, for the reason that is told."""
        self._standing.hearing = None
        self._follow_up.speech_dropped()
        self._bus.event(EventType.SPEECH_END, self.heard, dropped=True, **told)
        self._standing.settle()

    def ended(self, utterance: Utterance) -> str:
        """Take the turn in hand; gives its name."""
        self._standing.hearing = None
        self._follow_up.speech_ended()
        self._standing.in_hand.append(self.heard)
        self._counters.turns += 1
        reason, seconds = utterance.ended_by.value, round(utterance.seconds, 2)
        self._bus.event(EventType.SPEECH_END, self.heard, reason=reason, seconds=seconds)
        self._standing.settle()
        return self.heard

    def in_hand(self, turn: str) -> bool:
        """Whether a turn still waits for its answer."""
        return turn in self._standing.in_hand

    def answered(
        self,
        reply: ReplyPayload,
        question: Question | None = None,
        *,
        sure: float,
        error: str | None = None,
    ) -> None:
        """Say the reply to a turn, whose plugin was `sure` that it was meant, and what went wrong.

        When it asks a `question`, the answer is waited for.
        """
        turn = reply.turn
        if reply.intent is not None:
            told = {"intent": reply.intent, "slots": reply.slots, "confidence": sure}
            self._bus.event(EventType.INTENT, turn, **told)
            if question is not None:
                self._follow_up.ask(turn, reply.intent.partition(".")[0], question)
        if error is not None:
            self.failed(turn, error)
        self._publish(reply)

    def say(self, text: str) -> None:
        """Say `text`, unasked."""
        turn = Turn(self._new_id(), self._site, "")
        self._publish(ReplyPayload.of(Reply(turn, text, EndReason.TEXT)))
        self._standing.settle()

    def failed(self, turn: str, message: str) -> None:
        """Tell why a turn failed."""
        self._counters.failed += 1
        self._bus.event(EventType.ERROR, turn, message=message)

    def over(self, turn: str) -> None:
        """Put a turn out of hand, answered or not."""
        if self.in_hand(turn):
            self._standing.in_hand.remove(turn)
        self._standing.settle()

    def give_up(self) -> None:
        """Wait for no answer any more: of a plugin, of an engine or of the speaker."""
        self._counters.cancelled += len(self._standing.in_hand)
        self._standing.in_hand.clear()
        self._follow_up.give_up()

    def stop(self) -> None:
        """Nothing more will be heard."""
        self._standing.hearing = None

    def settle(self) -> None:
        """Say how the site stands, now that something began or ended."""
        self._standing.settle()

    def _publish(self, reply: ReplyPayload) -> None:
        self._counters.replies += 1
        self._standing.responding(reply.turn)
        self._bus.relay(reply)
        self._bus.event(EventType.REPLY, reply.turn, text=reply.text)
