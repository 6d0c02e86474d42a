"""The life of one turn: heard, understood before the speaker has quite finished, answered."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import structlog

from assistant.answering import Answered, Answerer, milliseconds
from assistant.audio.events import Dropped, Ended, Event, Paused, Progress, Resumed, Started
from assistant.clock import Clock
from assistant.errors import AssistantError
from assistant.follow_up import FollowUp
from assistant.intents import Intents
from assistant.mqtt.bus import Bus
from assistant.mqtt.payloads import EventType
from assistant.settings import EngineSettings
from assistant.standing import Standing
from assistant.thinking import Thinker
from assistant.turn import EndReason, Reply, StartReason, Timings, Turn, Utterance
from assistant.understanding import Mind, Understanding
from assistant.worker import Worker

NO_PLUGIN = "no plugin answers this, and the model answers only what it hears"
"""Why words that came as text have no reply."""

_T = TypeVar("_T")
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
    """Turns with an error event: the engine or a plugin failed, or took too long."""
    speculations_used: int = 0
    """Turns whose answer was begun at the first pause and was still right at the end."""


class Dialogue:
    """Turns the listener's events into published replies, one turn after the other.

    At the first short pause the engine starts on what was heard. When speech goes on, that work is
    cancelled; when it does not, the answer is ready by the time the end is certain. At most one
    turn is answered while the next is heard; replies keep the order of the utterances.
    """

    def __init__(
        self,
        mind: Mind,
        intents: Intents,
        bus: Bus,
        worker: Worker,
        *,
        site: str,
        settings: EngineSettings,
        clock: Clock,
        new_id: Callable[[], str] = new_turn_id,
        expect: Callable[[float], None] = lambda _: None,
    ) -> None:
        """`expect` is told for how many seconds an answer to a question is waited for."""
        self.counters = Counters()
        self.last_timings: Timings | None = None
        """Of the last turn that was spoken and answered."""
        self.model = Thinker(worker, lambda: getattr(self._mind, "engine", None))
        """What plugins may ask."""
        self._mind, self._intents, self._bus, self._worker = mind, intents, bus, worker
        self._site, self._settings, self._clock, self._new_id = site, settings, clock, new_id
        self._answerer, self._follow_up = Answerer(intents, clock), FollowUp(bus, clock, expect)
        self._turn_id = ""
        self._standing = Standing(bus)
        self._partials = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._partial: asyncio.Task[None] | None = None
        self._speculation: asyncio.Task[Understanding] | None = None
        self._answering: asyncio.Task[None] | None = None

    async def run(self, events: AsyncIterator[Event]) -> None:
        """Follow `events` to their end; the turn in hand is finished before this returns."""
        try:
            async for event in events:
                await self._take(event)
            if self._answering is not None:
                await asyncio.wait({self._answering})
        finally:
            self._standing.hearing = None
            await self.cancel()

    def think_with(self, mind: Mind) -> None:
        """Let another mind understand what is heard from now on."""
        self._mind = mind

    async def cancel(self) -> None:
        """Give up every turn that was heard and not answered, and what is guessed of the next."""
        self.counters.cancelled += len(self._standing.in_hand)
        self._standing.in_hand.clear()
        self._follow_up.close()
        self._partial = self._speculation = self._answering = None
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._standing.settle()

    def say(self, text: str) -> None:
        """Say `text` at this site, unasked."""
        self._say(Reply(Turn(self._new_id(), self._site, ""), text, EndReason.TEXT))
        self._standing.settle()

    async def ask(self, text: str) -> Reply:
        """Answer words that came as text; the reply is published as if they had been spoken.

        Raises `AssistantError` when no plugin answers and the model does not know the answer by
        heart, and when the plugin that answers has failed.
        """
        began = self._clock.now()
        known = self._mind.recall(text)
        read = Understanding(text, 1.0, known, passes=0, encode_ms=0.0, decode_ms=0.0)
        answered = await self._answerer.answer(self._new_id(), self._site, read, EndReason.TEXT)
        if answered.result is None and not known:
            raise AssistantError(NO_PLUGIN)
        reply = self._publish(answered, total=milliseconds(self._clock.now() - began))
        self._standing.settle()
        if answered.result is not None and answered.result.error is not None:
            raise AssistantError(answered.result.error)
        return reply

    async def _take(self, event: Event) -> None:
        match event:
            case Started():
                self._turn_id = self._standing.hearing = self._new_id()
                self._partials = 0
                self._intents.speech_began(self._site, answers=self._follow_up.speech_began())
                if event.started_by is StartReason.WAKE_WORD:
                    self._bus.event(EventType.WAKE, self._turn_id)
                started_by = event.started_by.value
                self._bus.event(EventType.SPEECH_START, self._turn_id, started_by=started_by)
                self._standing.settle()
            case Progress():
                self._follow(event)
            case Paused():
                self._forget_guesses()
                self._speculation = self._understand(event.utterance)
            case Resumed():
                self._forget_guesses()
            case Dropped():
                self._forget_guesses()
                self._follow_up.speech_dropped()
                self._standing.hearing = None
                reason = event.reason.value
                self._bus.event(EventType.SPEECH_END, self._turn_id, reason=reason, dropped=True)
                self._standing.settle()
            case Ended():
                await self._finish(event.utterance)

    def _follow(self, progress: Progress) -> None:
        """Publish what is understood so far, unless the engine has better things to do."""
        if self._worker.busy:
            return

        async def publish() -> None:
            text = await self._worker.run(self._mind.transcribe, progress.audio)
            if text:
                self._bus.partial(self._turn_id, self._partials, text)
                self._partials += 1

        self._partial = self._start(publish(), f"partial {self._turn_id}")

    def _understand(self, utterance: Utterance) -> asyncio.Task[Understanding]:
        understand = self._answerer.ear(self._mind, self._site)
        work = self._worker.run(understand, utterance.audio)
        return self._start(work, f"understanding {self._turn_id}")

    def _forget_guesses(self) -> None:
        """Give up the partial and the speculative answer: more is known now."""
        for task in (self._partial, self._speculation):
            if task is not None:
                task.cancel()
        self._partial = self._speculation = None

    async def _finish(self, utterance: Utterance) -> None:
        """Start the turn's answer; the one before is waited for, so replies keep their order."""
        ended_at, turn_id = self._clock.now(), self._turn_id
        self._standing.hearing = None
        self._follow_up.close()
        self._standing.in_hand.append(turn_id)
        self.counters.turns += 1
        reason, seconds = utterance.ended_by.value, round(utterance.seconds, 2)
        self._bus.event(EventType.SPEECH_END, turn_id, reason=reason, seconds=seconds)
        self._standing.settle()
        speculation, self._speculation = self._speculation, None
        self._forget_guesses()
        self.counters.speculations_used += speculation is not None
        understanding = speculation or self._understand(utterance)
        if self._answering is not None:
            await asyncio.wait({self._answering})
        if turn_id in self._standing.in_hand:  # else it was cancelled meanwhile
            work = self._answer(turn_id, utterance, understanding, ended_at)
            self._answering = self._start(work, f"turn {turn_id}")

    async def _answer(
        self,
        turn_id: str,
        utterance: Utterance,
        understanding: asyncio.Task[Understanding],
        ended_at: float,
    ) -> None:
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                await self._reply(turn_id, utterance, await understanding, ended_at)
        except TimeoutError:
            self._fail(turn_id, f"no answer within {self._settings.timeout_s:g} s")
        except AssistantError as error:
            self._fail(turn_id, str(error))
        except Exception as error:  # noqa: BLE001 - one turn's failure must not end the daemon
            self._fail(turn_id, f"{type(error).__name__}: {error}")
            _log.exception("turn failed", turn=turn_id)
        finally:
            if turn_id in self._standing.in_hand:
                self._standing.in_hand.remove(turn_id)
            self._standing.settle()

    async def _reply(
        self, turn_id: str, utterance: Utterance, understood: Understanding, ended_at: float
    ) -> None:
        if not understood.transcript:
            self.counters.wordless += 1
            return
        self.model.heard(turn_id, utterance.audio)
        answered = await self._answerer.answer(
            turn_id, self._site, understood, utterance.ended_by, utterance.audio
        )
        reply = self._publish(
            answered,
            endpoint=milliseconds(ended_at - utterance.speech_ended_at),
            total=milliseconds(self._clock.now() - ended_at),
        )
        self.last_timings = reply.timings

    def _publish(self, answered: Answered, **timings: float) -> Reply:
        """Say what was answered and what is known beside; `timings` (ms) are added to its own."""
        reply, result = answered.reply, answered.result
        reply = replace(reply, timings=replace(reply.timings, **timings))
        turn = reply.turn
        if result is not None:
            told = {"slots": dict(result.slots), "confidence": result.confidence}
            self._bus.event(EventType.INTENT, turn.id, intent=result.intent, **told)
            if reply.question is not None:
                plugin, _, _ = result.intent.partition(".")
                self._follow_up.ask(turn.id, plugin, reply.question)
            if result.error is not None:
                self._fail(turn.id, result.error)
        self._say(reply)
        return reply

    def _say(self, reply: Reply) -> None:
        self.counters.replies += 1
        self._answerer.note(self._site, reply.text)
        self._standing.responding(reply.turn.id)
        self._bus.reply(reply)
        self._bus.event(EventType.REPLY, reply.turn.id, text=reply.text)

    def _fail(self, turn_id: str, message: str) -> None:
        self.counters.failed += 1
        self._bus.event(EventType.ERROR, turn_id, message=message)

    def _start(self, work: Coroutine[Any, Any, _T], name: str) -> asyncio.Task[_T]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        """Log a failure that perhaps nobody waits for; a turn tells its own."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.debug("engine work failed", task=task.get_name(), error=str(error))
