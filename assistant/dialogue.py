"""The life of one turn: heard, understood before the speaker has quite finished, answered."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

import structlog

from assistant.audio.events import Dropped, Ended, Event, Paused, Progress, Resumed, Started
from assistant.clock import Clock
from assistant.intents import HandlerResult, Intents
from assistant.mqtt.bus import Bus
from assistant.mqtt.payloads import Activity, EventType
from assistant.settings import EngineSettings
from assistant.turn import EndReason, Reply, Timings, Turn, Utterance
from assistant.understanding import Mind, Understanding
from assistant.worker import Cancelled, Worker

_log = structlog.get_logger(__name__)


def new_turn_id() -> str:
    """A short name that no other turn of any site has."""
    return uuid.uuid4().hex[:12]


@dataclass
class Counters:
    """What became of the utterances."""

    turns: int = 0
    replies: int = 0
    wordless: int = 0
    """Utterances in which the model heard no words."""
    cancelled: int = 0
    failed: int = 0
    speculations_used: int = 0
    """Turns whose answer was begun at the first pause and was still right at the end."""


class Dialogue:
    """Turns the listener's events into published replies, one turn after the other.

    At the first short pause the engine starts on what was heard. When speech goes on, that work is
    cancelled; when it does not, the answer is ready by the time the end is certain.
    """

    def __init__(
        self,
        mind: Mind,
        intents: Intents,
        bus: Bus,
        *,
        site: str,
        settings: EngineSettings,
        clock: Clock,
        new_id: Callable[[], str] = new_turn_id,
    ) -> None:
        self.counters = Counters()
        self._mind, self._intents, self._bus = mind, intents, bus
        self._site, self._settings, self._clock, self._new_id = site, settings, clock, new_id
        self._worker = Worker("engine")
        self._turn_id = ""
        self._speculation: asyncio.Task[Understanding] | None = None
        self._answering: asyncio.Task[None] | None = None
        self._partial: asyncio.Task[None] | None = None
        self._partials = 0

    async def run(self, events: AsyncIterator[Event]) -> None:
        """Follow `events` to their end; the turn in hand is finished before this returns."""
        try:
            async for event in events:
                await self._take(event)
            if self._answering is not None:
                await asyncio.wait({self._answering})
        finally:
            await self.cancel()
            self._worker.close()

    async def cancel(self) -> None:
        """Give up whatever is being worked on."""
        tasks = [t for t in (self._speculation, self._partial, self._answering) if t is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._speculation = self._partial = self._answering = None

    async def _take(self, event: Event) -> None:
        match event:
            case Started():
                self._turn_id, self._partials = self._new_id(), 0
                self._bus.state(Activity.LISTENING, self._turn_id)
                started_by = event.started_by.value
                self._bus.event(EventType.SPEECH_START, self._turn_id, started_by=started_by)
            case Progress():
                self._follow(event)
            case Paused():
                self._speculate(event.utterance)
            case Resumed():
                self._forget_speculation()
            case Dropped():
                self._forget_speculation()
                reason = event.reason.value
                self._bus.event(EventType.SPEECH_END, self._turn_id, reason=reason, dropped=True)
                self._bus.state(Activity.IDLE)
            case Ended():
                await self._finish(event.utterance)

    def _follow(self, progress: Progress) -> None:
        """Publish what is understood so far, unless the engine has better things to do."""
        if self._worker.busy:
            return

        async def publish(turn_id: str, number: int) -> None:
            try:
                text = await self._worker.run(self._mind.transcribe, progress.audio)
            except Cancelled:
                return
            if text and turn_id == self._turn_id:
                self._bus.partial(turn_id, number, text)

        self._partials += 1
        work = publish(self._turn_id, self._partials - 1)
        self._partial = asyncio.create_task(work, name=f"partial {self._turn_id}")
        self._partial.add_done_callback(_report)

    def _speculate(self, utterance: Utterance) -> None:
        self._forget_speculation()
        if self._partial is not None:
            self._partial.cancel()
        work = self._worker.run(self._mind.understand, utterance.audio)
        self._speculation = asyncio.create_task(work, name=f"speculation {self._turn_id}")
        self._speculation.add_done_callback(_report)

    def _forget_speculation(self) -> None:
        if self._speculation is not None:
            self._speculation.cancel()
            self._speculation = None

    async def _finish(self, utterance: Utterance) -> None:
        """Start the turn's answer; the one before is waited for, so replies keep their order."""
        ended_at, speculation, turn_id = self._clock.now(), self._speculation, self._turn_id
        self._speculation = None
        self.counters.turns += 1
        reason, seconds = utterance.ended_by.value, round(utterance.seconds, 2)
        self._bus.state(Activity.PROCESSING, turn_id)
        self._bus.event(EventType.SPEECH_END, turn_id, reason=reason, seconds=seconds)
        if self._answering is not None:
            await asyncio.wait({self._answering})
        work = self._answer(turn_id, utterance, speculation, ended_at)
        self._answering = asyncio.create_task(work, name=f"turn {turn_id}")

    async def _answer(
        self,
        turn_id: str,
        utterance: Utterance,
        speculation: asyncio.Task[Understanding] | None,
        ended_at: float,
    ) -> None:
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                understood = await self._understand(utterance, speculation)
                await self._reply(turn_id, utterance, understood, ended_at)
        except asyncio.CancelledError:
            self.counters.cancelled += 1
            raise
        except TimeoutError:
            self._fail(turn_id, f"no answer within {self._settings.timeout_s:g} s")
        except Exception as error:  # noqa: BLE001 - one turn's failure must not end the daemon
            _log.exception("turn failed", turn=turn_id)
            self._fail(turn_id, f"{type(error).__name__}: {error}")
        finally:
            self._bus.state(Activity.IDLE)

    def _fail(self, turn_id: str, message: str) -> None:
        self.counters.failed += 1
        self._bus.event(EventType.ERROR, turn_id, message=message)

    async def _understand(
        self, utterance: Utterance, speculation: asyncio.Task[Understanding] | None
    ) -> Understanding:
        if speculation is not None:
            understood = await speculation
            self.counters.speculations_used += 1
            return understood
        return await self._worker.run(self._mind.understand, utterance.audio)

    async def _reply(
        self, turn_id: str, utterance: Utterance, understood: Understanding, ended_at: float
    ) -> None:
        if not understood.transcript:
            self.counters.wordless += 1
            return
        turn = Turn(turn_id, self._site, understood.transcript, understood.confidence)
        handling_from = self._clock.now()
        result = await self._intents.handle(self._intents.match(understood.transcript), turn)
        now = self._clock.now()
        timings = Timings(
            endpoint=_ms(ended_at - utterance.speech_ended_at),
            encode=understood.encode_ms,
            decode=understood.decode_ms,
            handle=_ms(now - handling_from),
            total=_ms(now - ended_at),
        )
        if result is not None:
            turn = replace(turn, intent=result.intent, slots=result.slots)
            self._tell_intent(turn_id, result)
        text = result.text if result is not None else understood.answer
        reply = Reply(turn, text, utterance.ended_by, understood.passes, timings)
        self._publish(reply)

    def _tell_intent(self, turn_id: str, result: HandlerResult) -> None:
        self._bus.event(
            EventType.INTENT,
            turn_id,
            intent=result.intent,
            slots=dict(result.slots),
            confidence=result.confidence,
        )
        if result.error is not None:
            self._fail(turn_id, result.error)

    def _publish(self, reply: Reply) -> None:
        self.counters.replies += 1
        self._bus.state(Activity.RESPONDING, reply.turn.id)
        self._bus.reply(reply)
        self._bus.event(EventType.REPLY, reply.turn.id, text=reply.text)

    def say(self, text: str) -> None:
        """Say `text` at this site, unasked."""
        turn = Turn(self._new_id(), self._site, "")
        self._publish(Reply(turn, text, EndReason.TEXT))
        if self._answering is None or self._answering.done():
            self._bus.state(Activity.IDLE)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _report(task: asyncio.Task[Any]) -> None:
    """Log work that failed when nobody waits for it any more."""
    if not task.cancelled() and (error := task.exception()) and not isinstance(error, Cancelled):
        _log.warning("engine work failed", task=task.get_name(), error=str(error))
