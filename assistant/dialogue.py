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
from assistant.intents import Intents
from assistant.mqtt.bus import Bus
from assistant.mqtt.payloads import ReplyPayload
from assistant.settings import EngineSettings
from assistant.thinking import Thinker
from assistant.turn import EndReason, Reply, Timings, Utterance
from assistant.turns import Counters, Turns
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
class DialogueCounters(Counters):
    """What became of the utterances, and of the guesses."""

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
        self.counters = DialogueCounters()
        self.last_timings: Timings | None = None
        """Of the last turn that was spoken and answered."""
        self.model = Thinker(worker, lambda: getattr(self._mind, "engine", None))
        """What plugins may ask."""
        self._mind, self._intents, self._bus, self._worker = mind, intents, bus, worker
        self._site, self._settings, self._clock, self._new_id = site, settings, clock, new_id
        self._answerer = Answerer(intents, clock)
        self._turns = Turns(bus, clock, self.counters, site=site, new_id=new_id, expect=expect)
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
            self._turns.stop()
            await self.cancel()

    def think_with(self, mind: Mind) -> None:
        """Let another mind understand what is heard from now on."""
        self._mind = mind

    async def cancel(self) -> None:
        """Give up every turn that was heard and not answered, and what is guessed of the next."""
        self._turns.give_up()
        self._intents.hush(self._site)
        self._partial = self._speculation = self._answering = None
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._turns.settle()

    def say(self, text: str) -> None:
        """Say `text` at this site, unasked."""
        self._answerer.note(self._site, text)
        self._turns.say(text)

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
        self._turns.settle()
        if answered.result is not None and answered.result.error is not None:
            raise AssistantError(answered.result.error)
        return reply

    async def _take(self, event: Event) -> None:
        match event:
            case Started():
                self._partials = 0
                answers = self._turns.began(event.started_by)
                self._intents.speech_began(self._site, answers=answers)
            case Progress():
                self._follow(event)
            case Paused():
                self._forget_guesses()
                self._speculation = self._understand(event.utterance)
            case Resumed():
                self._forget_guesses()
            case Dropped():
                self._forget_guesses()
                self._turns.dropped(reason=event.reason.value)
            case Ended():
                await self._finish(event.utterance)

    def _follow(self, progress: Progress) -> None:
        """Publish what is understood so far, unless the engine has better things to do."""
        if self._worker.busy:
            return

        async def publish() -> None:
            text = await self._worker.run(self._mind.transcribe, progress.audio)
            if text:
                self._bus.partial(self._turns.heard, self._partials, text)
                self._partials += 1

        self._partial = self._start(publish(), f"partial {self._turns.heard}")

    def _understand(self, utterance: Utterance) -> asyncio.Task[Understanding]:
        understand = self._answerer.ear(self._mind, self._site)
        work = self._worker.run(understand, utterance.audio)
        return self._start(work, f"understanding {self._turns.heard}")

    def _forget_guesses(self) -> None:
        """Give up the partial and the speculative answer: more is known now."""
        for task in (self._partial, self._speculation):
            if task is not None:
                task.cancel()
        self._partial = self._speculation = None

    async def _finish(self, utterance: Utterance) -> None:
        """Start the turn's answer; the one before is waited for, so replies keep their order."""
        ended_at, turn_id = self._clock.now(), self._turns.ended(utterance)
        speculation, self._speculation = self._speculation, None
        self._forget_guesses()
        self.counters.speculations_used += speculation is not None
        understanding = speculation or self._understand(utterance)
        if self._answering is not None:
            await asyncio.wait({self._answering})
        if self._turns.in_hand(turn_id):  # else it was cancelled meanwhile
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
            self._turns.failed(turn_id, f"no answer within {self._settings.timeout_s:g} s")
        except AssistantError as error:
            self._turns.failed(turn_id, str(error))
        except Exception as error:  # noqa: BLE001 - one turn's failure must not end the daemon
            self._turns.failed(turn_id, f"{type(error).__name__}: {error}")
            _log.exception("turn failed", turn=turn_id)
        finally:
            self._turns.over(turn_id)

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
        sure = result.confidence if result is not None else 0.0
        error = result.error if result is not None else None
        self._answerer.note(self._site, reply.text)
        self._turns.answered(ReplyPayload.of(reply), reply.question, sure=sure, error=error)
        return reply

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
