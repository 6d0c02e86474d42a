"""A satellite's side of a turn: what is heard goes to an engine, and its answer comes back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from dataclasses import asdict, dataclass, replace
from typing import Any

import structlog

from assistant.answering import milliseconds
from assistant.audio.events import Dropped, Ended, Event, Started
from assistant.audio.listener import Listener
from assistant.clock import Clock
from assistant.follow_up import FollowUp
from assistant.mqtt.bus import Bus
from assistant.mqtt.payloads import EventType, ReplyPayload
from assistant.mqtt.rooms import AnswerKind, AnswerPayload
from assistant.satellites.bidding import Bidding
from assistant.satellites.dispatch import About, Asked, Dispatch
from assistant.satellites.opus import encode
from assistant.settings import SatelliteSettings
from assistant.standing import Standing
from assistant.turn import EndReason, Reply, StartReason, Timings, Turn, Utterance

_BIDS_FOR = frozenset({StartReason.VOICE, StartReason.WAKE_WORD})
"""Whoever presses a button at a satellite wants that one."""

_log = structlog.get_logger(__name__)


@dataclass
class Counters:
    """What became of the utterances."""

    turns: int = 0
    replies: int = 0
    wordless: int = 0
    outbid: int = 0
    """Utterances left to a satellite at which they were louder."""
    cancelled: int = 0
    failed: int = 0


class Courier:
    """Turns the listener's events into utterances for engines, and their answers into replies.

    Every utterance gets one reply, or one error event after `satellites.patience_s`: the first
    answer counts, and later ones are dropped and counted.
    """

    def __init__(
        self,
        bus: Bus,
        listener: Listener,
        *,
        site: str,
        settings: SatelliteSettings,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self.counters = Counters()
        self.last_timings: Timings | None = None
        """Of the last turn that was answered."""
        self.dispatch = Dispatch(bus, settings, clock)
        self._bidding = Bidding(bus, settings, clock, give_way=self._give_way)
        self._bus, self._listener, self._site = bus, listener, site
        self._clock, self._new_id = clock, new_id
        self._follow_up = FollowUp(bus, clock, listener.expect)
        self._asked: Asked | None = None
        """The last question that was asked here."""
        self._answers: Asked | None = None
        """The question that the utterance which is heard now answers."""
        self._only: tuple[str, ...] | None = None
        self._turn = ""
        self._left_to: str | None = None
        """The satellite that the utterance which is heard now was left to."""
        self._standing = Standing(bus)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, events: AsyncIterator[Event]) -> None:
        """Follow `events` to their end; what was sent is answered before this returns."""
        try:
            async for event in events:
                self._take(event)
            if self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            self._standing.hearing = None
            await self.cancel()

    def tally(self) -> dict[str, int]:
        """What became of the utterances, and what it took."""
        sent = self.dispatch
        return asdict(self.counters) | {"resent": sent.resent, "duplicates": sent.duplicates}

    async def cancel(self) -> None:
        """Give up every turn that was heard and not answered."""
        self.counters.cancelled += len(self._standing.in_hand)
        self._follow_up.close()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._standing.settle()

    def limit(self, intents: Collection[str] | None) -> None:
        """Let nothing but these intents answer from now on; None for all."""
        self._only = None if intents is None else tuple(intents)

    def say(self, text: str) -> None:
        """Say `text` at this site, unasked."""
        turn = Turn(self._new_id(), self._site, "")
        self._publish(ReplyPayload.of(Reply(turn, text, EndReason.TEXT)))
        self._standing.settle()

    def _take(self, event: Event) -> None:
        match event:
            case Started():
                self._turn = self._standing.hearing = self._new_id()
                self._left_to = None
                self._answers = self._asked if self._follow_up.speech_began() else None
                if event.started_by is StartReason.WAKE_WORD:
                    self._bus.event(EventType.WAKE, self._turn)
                started_by = event.started_by.value
                self._bus.event(EventType.SPEECH_START, self._turn, started_by=started_by)
                self._standing.settle()
                if event.started_by in _BIDS_FOR:
                    answers = self._answers is not None
                    self._bidding.bid(self._turn, event.level_dbfs, answers=answers)
            case Dropped():
                self._drop(event.reason.value)
            case Ended() if self._left_to:
                self._drop(EndReason.CANCELLED.value)
            case Ended():
                self._finish(event.utterance)

    def _give_way(self, turn: str, winner: str) -> None:
        """Leave the utterance to a satellite at which it is louder."""
        if turn == self._standing.hearing:
            self._left_to = winner
            self._listener.cancel()

    def _drop(self, reason: str) -> None:
        self._bidding.settle()
        self._standing.hearing = None
        told: dict[str, Any] = {"reason": reason}
        if self._left_to:
            told = {"reason": "outbid", "by": self._left_to}
            self.counters.outbid += 1
        self._bus.event(EventType.SPEECH_END, self._turn, dropped=True, **told)
        self._follow_up.speech_dropped()
        self._standing.settle()

    def _finish(self, utterance: Utterance) -> None:
        self._bidding.settle()
        self._follow_up.close()
        turn, self._standing.hearing = self._turn, None
        self._standing.in_hand.append(turn)
        self.counters.turns += 1
        reason, seconds = utterance.ended_by.value, round(utterance.seconds, 2)
        self._bus.event(EventType.SPEECH_END, turn, reason=reason, seconds=seconds)
        self._standing.settle()
        about = About(turn, utterance.ended_by, self._answers, self._only)
        self._start(self._answered(about, utterance, self._clock.now()), f"turn {turn}")

    async def _answered(self, about: About, utterance: Utterance, ended_at: float) -> None:
        turn = about.turn
        try:
            sound = await asyncio.to_thread(encode, utterance.audio)
            answer = await self.dispatch.ask(about, sound)
            if answer is None:
                self._fail(turn, self.dispatch.why_unanswered())
                return
            waited = milliseconds(ended_at - utterance.speech_ended_at)
            total = milliseconds(self._clock.now() - ended_at)
            self._hear(answer, endpoint=waited, total=total)
        except Exception as error:  # noqa: BLE001 - one turn's failure must not end the satellite
            self._fail(turn, f"{type(error).__name__}: {error}")
            _log.exception("turn failed", turn=turn)
        finally:
            self._standing.in_hand.remove(turn)
            self._standing.settle()

    def _hear(self, answer: AnswerPayload, *, endpoint: float, total: float) -> None:
        """Publish what an engine says; the whole way took `total`, which it cannot know."""
        if answer.kind is AnswerKind.NOTHING:
            self.counters.wordless += 1
        if answer.error is not None:
            self._fail(answer.turn, answer.error)
        if answer.reply is None:
            return
        timings = replace(answer.reply.timings_ms, endpoint=endpoint, total=total)
        self.last_timings = timings
        reply = answer.reply.model_copy(update={"timings_ms": timings})
        if reply.intent is not None:
            told = {"intent": reply.intent, "slots": reply.slots, "confidence": reply.confidence}
            self._bus.event(EventType.INTENT, reply.turn, **told)
            if answer.question is not None:
                plugin, _, _ = reply.intent.partition(".")
                self._asked = Asked(reply.turn, answer.engine)
                self._follow_up.ask(reply.turn, plugin, answer.question.question)
        self._publish(reply)

    def _publish(self, reply: ReplyPayload) -> None:
        self.counters.replies += 1
        self._standing.responding(reply.turn)
        self._bus.relay(reply)
        self._bus.event(EventType.REPLY, reply.turn, text=reply.text)

    def _fail(self, turn: str, message: str) -> None:
        self.counters.failed += 1
        self._bus.event(EventType.ERROR, turn, message=message)

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
