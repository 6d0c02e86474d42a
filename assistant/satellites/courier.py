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
from assistant.mqtt.bus import Bus
from assistant.mqtt.rooms import AnswerKind, AnswerPayload
from assistant.satellites.bidding import Bidding
from assistant.satellites.dispatch import About, Asked, Dispatch
from assistant.satellites.opus import encode
from assistant.satellites.thread import Thread
from assistant.settings import SatelliteSettings
from assistant.turn import EndReason, StartReason, Timings, Utterance
from assistant.turns import Counters, Turns

_BIDS_FOR = frozenset({StartReason.VOICE, StartReason.WAKE_WORD})
"""Whoever presses a button at a satellite wants that one."""

_log = structlog.get_logger(__name__)


@dataclass
class CourierCounters(Counters):
    """What became of the utterances."""

    outbid: int = 0
    """Utterances left to a satellite at which they were louder."""


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
        self.counters = CourierCounters()
        self.last_timings: Timings | None = None
        """Of the last turn that was answered."""
        self.dispatch = Dispatch(bus, settings, clock)
        self._bidding = Bidding(bus, settings, clock, give_way=self._give_way)
        self._listener, self._clock, expect = listener, clock, listener.expect
        self._turns = Turns(bus, clock, self.counters, site=site, new_id=new_id, expect=expect)
        self._asked: Asked | None = None
        """The last question that was asked here."""
        self._answers: Asked | None = None
        """The question that the utterance which is heard now answers."""
        self._only: tuple[str, ...] | None = None
        self._thread = Thread(clock)
        self._left_to: str | None = None
        """The satellite that the utterance which is heard now was left to."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, events: AsyncIterator[Event]) -> None:
        """Follow `events` to their end; what was sent is answered before this returns."""
        try:
            async for event in events:
                self._take(event)
            if self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            self._turns.stop()
            await self.cancel()

    def tally(self) -> dict[str, int]:
        """What became of the utterances, and what it took."""
        sent = self.dispatch
        return asdict(self.counters) | {"resent": sent.resent, "duplicates": sent.duplicates}

    async def cancel(self) -> None:
        """Give up every turn that was heard and not answered."""
        self._turns.give_up()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._turns.settle()

    def limit(self, intents: Collection[str] | None) -> None:
        """Let nothing but these intents answer from now on; None for all."""
        self._only = None if intents is None else tuple(intents)

    def say(self, text: str) -> None:
        """Say `text` at this site, unasked."""
        self._turns.say(text)

    def _take(self, event: Event) -> None:
        match event:
            case Started():
                self._left_to = None
                self._answers = self._asked if self._turns.began(event.started_by) else None
                if event.started_by in _BIDS_FOR:
                    answers = self._answers is not None
                    self._bidding.bid(self._turns.heard, event.level_dbfs, answers=answers)
            case Dropped():
                self._drop(event.reason.value)
            case Ended() if self._left_to:
                self._drop(EndReason.CANCELLED.value)
            case Ended():
                self._finish(event.utterance)

    def _give_way(self, turn: str, winner: str) -> None:
        """Leave the utterance to a satellite at which it is louder."""
        if self._turns.hearing and turn == self._turns.heard:
            self._left_to = winner
            self._listener.cancel()

    def _drop(self, reason: str) -> None:
        self._bidding.settle()
        told: dict[str, Any] = {"reason": reason}
        if self._left_to:
            told = {"reason": "outbid", "by": self._left_to}
            self.counters.outbid += 1
        self._turns.dropped(**told)

    def _finish(self, utterance: Utterance) -> None:
        self._bidding.settle()
        turn = self._turns.ended(utterance)
        said = self._thread.before(self._answers.turn if self._answers is not None else None)
        about = About(turn, utterance.ended_by, self._answers, self._only, said)
        self._start(self._answered(about, utterance, self._clock.now()), f"turn {turn}")

    async def _answered(self, about: About, utterance: Utterance, ended_at: float) -> None:
        turn = about.turn
        try:
            sound = await asyncio.to_thread(encode, utterance.audio)
            answer = await self.dispatch.ask(about, sound)
            if answer is None:
                self._turns.failed(turn, self.dispatch.why_unanswered())
                return
            waited = milliseconds(ended_at - utterance.speech_ended_at)
            total = milliseconds(self._clock.now() - ended_at)
            self._hear(answer, endpoint=waited, total=total)
        except Exception as error:  # noqa: BLE001 - one turn's failure must not end the satellite
            self._turns.failed(turn, f"{type(error).__name__}: {error}")
            _log.exception("turn failed", turn=turn)
        finally:
            self._turns.over(turn)

    def _hear(self, answer: AnswerPayload, *, endpoint: float, total: float) -> None:
        """Publish what an engine says; the whole way took `total`, which it cannot know."""
        if answer.kind is AnswerKind.NOTHING:
            self.counters.wordless += 1
        if answer.reply is None:
            if answer.error is not None:
                self._turns.failed(answer.turn, answer.error)
            return
        timings = replace(answer.reply.timings_ms, endpoint=endpoint, total=total)
        self.last_timings = timings
        reply = answer.reply.model_copy(update={"timings_ms": timings})
        asked = answer.question
        self._thread.add(answer)
        if asked is not None:
            self._asked = Asked(reply.turn, answer.engine)
        question = asked.question if asked is not None else None
        self._turns.answered(reply, question, sure=reply.confidence, error=answer.error)

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
