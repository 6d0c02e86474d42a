"""The engine's side: answers what satellites hear, each utterance once."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import structlog
from numpy.typing import NDArray

from assistant.answering import Answerer, milliseconds
from assistant.clock import Clock
from assistant.errors import AssistantError, TransientError
from assistant.intents import Intents
from assistant.mqtt.intake import Delivery, Intake
from assistant.mqtt.payloads import ReplyPayload
from assistant.mqtt.rooms import AnswerKind, AnswerPayload, QuestionPart
from assistant.recent import Recent
from assistant.satellites.opus import decode
from assistant.settings import EngineSettings
from assistant.turn import Reply, Turn
from assistant.understanding import Mind
from assistant.worker import Worker

_REMEMBERED = 256
_LONGEST_ERROR = 1000
_AT_ONCE = 4
"""Turns that are answered at a time: one is understood while handlers work on the others."""

_log = structlog.get_logger(__name__)


class Attendant:
    """Takes utterances from the intake and gives each one answer.

    An utterance that comes again while it is in hand waits for the same answer; one that comes
    again later gets the answer it had, and no handler runs twice for it here.
    """

    def __init__(
        self,
        intake: Intake,
        mind: Mind,
        intents: Intents,
        worker: Worker,
        *,
        name: str,
        settings: EngineSettings,
        clock: Clock,
    ) -> None:
        """`name` is the engine's own site."""
        self.answered = 0
        """Utterances, each counted once."""
        self._intake, self._mind, self._intents, self._worker = intake, mind, intents, worker
        self._name, self._settings, self._clock = name, settings, clock
        self._last: Recent[str, AnswerPayload] = Recent(_REMEMBERED)
        """The newest answers by their turns."""
        self._overheard: Recent[str, None] = Recent(_REMEMBERED)
        """The newest turns that other engines answered."""
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._in_hand: dict[str, list[Delivery]] = {}
        self._answerer = Answerer(intents, clock)
        intake.overhear(self._overhear)

    def think_with(self, mind: Mind) -> None:
        """Let another mind understand what is heard from now on."""
        self._mind = mind

    async def run(self) -> None:
        """Serve until cancelled; raises what the intake raises."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._intake.run(), name="intake")
            async for delivery in self._intake.deliveries():
                if waiting := self._in_hand.get(delivery.turn):
                    waiting.append(delivery)
                    continue
                self._in_hand[delivery.turn] = [delivery]
                tasks.create_task(self._attend(delivery), name=f"satellite turn {delivery.turn}")

    async def _attend(self, delivery: Delivery) -> None:
        turn = delivery.turn
        try:
            answer = self._last.get(turn)
            if answer is None:
                await self._tell(delivery, self._say(delivery, AnswerKind.TAKEN))
                async with self._turns:
                    answer = await self._answer(delivery)
                self.answered += 1
            if answer is not None:
                self._last.put(turn, answer)
                if not await self._tell(delivery, answer):
                    return
            for each in self._in_hand[turn]:
                each.acknowledge()
        finally:
            del self._in_hand[turn]

    async def _tell(self, delivery: Delivery, answer: AnswerPayload) -> bool:
        """Whether the broker has it; else the utterance comes again, to whichever engine."""
        try:
            await self._intake.answer(delivery.site, answer)
        except TransientError as error:
            _log.warning(str(error))
            return False
        return True

    async def _answer(self, delivery: Delivery) -> AnswerPayload | None:
        """Give the answer, whatever goes wrong; None when another engine was quicker."""
        began = self._clock.now()
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                audio = await asyncio.to_thread(decode, delivery.sound)
                return await self._understand(delivery, audio, began)
        except TimeoutError:
            reason = f"no answer within {self._settings.timeout_s:g} s"
        except AssistantError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - one turn's failure must not end the engine
            reason = f"{type(error).__name__}: {error}"
            _log.exception("turn failed", turn=delivery.turn)
        return self._say(delivery, AnswerKind.ERROR, error=reason)

    async def _understand(
        self, delivery: Delivery, audio: NDArray[np.int16], began: float
    ) -> AnswerPayload | None:
        self._catch_up(delivery.said)
        self._intents.limit(delivery.site, delivery.only)
        self._intents.speech_began(delivery.site, answers=delivery.answers)
        understand = self._answerer.ear(self._mind, delivery.site)
        understood = await self._worker.run(understand, audio)
        if self._intake.answered_elsewhere(delivery.turn):
            return None
        if not understood.transcript:
            return self._say(delivery, AnswerKind.NOTHING)
        turn, site, ended_by = delivery.turn, delivery.site, delivery.ended_by
        answered = await self._answerer.answer(turn, site, understood, ended_by, audio)
        self._answerer.note(site, answered.reply.text)
        total = milliseconds(self._clock.now() - began)
        timings = replace(answered.reply.timings, total=total)
        return self._say(
            delivery,
            AnswerKind.REPLY,
            reply=replace(answered.reply, timings=timings),
            error=answered.result.error if answered.result is not None else None,
        )

    def _catch_up(self, said: Sequence[AnswerPayload]) -> None:
        """Overhear late what was said while this engine was not there, after what it knows."""
        news = list(itertools.takewhile(lambda each: not self._knows(each.turn), reversed(said)))
        for answer in reversed(news):
            self._overhear(answer)

    def _knows(self, turn: str) -> bool:
        return turn in self._last or turn in self._overheard

    def _overhear(self, answer: AnswerPayload) -> None:
        """Keep up with what is said at a site, whichever engine answers there."""
        reply, asked = answer.reply, answer.question
        if reply is None or self._knows(answer.turn):
            return
        self._overheard.put(answer.turn, None)
        words, sure, slots = reply.transcript, reply.confidence, reply.slots
        turn = Turn(reply.turn, reply.site, words, sure, intent=reply.intent, slots=slots)
        question = asked.question if asked is not None else None
        self._answerer.note(reply.site, reply.text)
        self._intents.overhear(turn, reply.text, question, answers=answer.answers or "")

    def _say(
        self,
        delivery: Delivery,
        kind: AnswerKind,
        *,
        reply: Reply | None = None,
        error: str | None = None,
    ) -> AnswerPayload:
        question = reply.question if reply is not None else None
        return AnswerPayload(
            turn=delivery.turn,
            engine=self._name,
            kind=kind,
            reply=ReplyPayload.of(reply) if reply is not None else None,
            question=QuestionPart.of(question) if question is not None else None,
            answers=delivery.answers or None,
            error=error and error[:_LONGEST_ERROR],
        )
