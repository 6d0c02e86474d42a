"""Gets each utterance to an engine and the first answer back, whatever dies on the way."""

import asyncio
from dataclasses import dataclass
from typing import Any

import aiomqtt
import structlog
from pydantic import ValidationError

from assistant.clock import Clock
from assistant.mqtt.bus import Bus
from assistant.mqtt.envelope import Envelope
from assistant.mqtt.rooms import MAX_SAID_BYTES, SOUND, AnswerKind, AnswerPayload
from assistant.settings import SatelliteSettings
from assistant.turn import EndReason

TAKE_S = 2.0
"""An engine that lives says sooner that it has an utterance."""
MOST_ENGINES = 256
MOST_TRIES = 8
"""What is said of engines causes no more sendings of one utterance: anybody may say it."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that was asked here."""

    turn: str
    """In the reply to which."""
    engine: str
    """By whose plugin."""


@dataclass(frozen=True, slots=True)
class About:
    """What an engine is told of an utterance, beside its sound."""

    turn: str
    ended_by: EndReason
    answers: Asked | None = None
    """The question that was open when it began."""
    only: tuple[str, ...] | None = None
    """The only intents that may answer it; None for all."""
    said: tuple[AnswerPayload, ...] = ()
    """What was answered at this site before it, and it may go on from."""

    @property
    def told(self) -> tuple[tuple[str, str], ...]:
        """It as user properties."""
        told = [("schema", "utterance/1"), ("turn", self.turn), ("ended_by", self.ended_by.value)]
        if self.answers is not None:
            told.append(("answers", self.answers.turn))
        if self.only is not None:
            told.append(("intents", " ".join(self.only)))
        said = [each.encode() for each in self.said]
        if all(len(each) <= MAX_SAID_BYTES for each in said):
            told += [("said", each.decode()) for each in said]
        return tuple(told)


@dataclass(slots=True)
class _Pending:
    """An utterance on its way."""

    sound: bytes
    envelope: Envelope
    answer: asyncio.Future[AnswerPayload]
    asker: str | None = None
    """The one engine that it goes to: the one whose question it answers; None for any."""
    engine: str | None = None
    """Who has it; None while nobody has said so."""
    asked_at: float = 0.0
    """When it was last sent, or taken, in seconds on the clock."""
    tries: int = 0


class Dispatch:
    """Sends utterances, and sends them again when the engine that took one dies.

    The answer to a question goes to the engine that asked, and to any other only as one that is
    sent again.
    Some brokers give the work of a dead engine to the next one and some do not, so this does not
    rely on it: an utterance that is nobody's for `TAKE_S` (then for twice as long), whose engine
    says `offline`, or whose engine takes half of the patience, is sent once more under the same
    turn. The first answer wins.
    """

    def __init__(self, bus: Bus, settings: SatelliteSettings, clock: Clock) -> None:
        self.resent = 0
        """Utterances sent once more."""
        self.duplicates = 0
        """Answers that came after the first, or too late."""
        self.refused = 0
        """Messages that were no answers, and engines that were too many."""
        self._bus, self._clock, self._patience_s = bus, clock, settings.patience_s
        self._pending: dict[str, _Pending] = {}
        self._engines: set[str] = set()
        topics = bus.topics
        bus.listen(topics.answer, self._hear)
        bus.listen(topics.everywhere(topics.engine), self._note_engine)

    @property
    def engines(self) -> frozenset[str]:
        """The engines that are there."""
        return frozenset(self._engines)

    async def ask(self, about: About, sound: bytes) -> AnswerPayload | None:
        """Give the answer to one utterance; None when none came within the patience."""
        turn, respond_to, asked = about.turn, self._bus.topics.answer, about.answers
        envelope = Envelope(self._patience_s, SOUND, about.told, respond_to, turn.encode())
        asker = asked.engine if asked is not None and asked.engine in self._engines else None
        answer: asyncio.Future[AnswerPayload] = asyncio.get_running_loop().create_future()
        pending = self._pending[turn] = _Pending(sound, envelope, answer, asker)
        deadline = self._clock.now() + self._patience_s
        self._send(pending)
        try:
            while (left_s := deadline - self._clock.now()) > 0:
                await self._wait(answer, min(TAKE_S / 4, left_s))
                if answer.done():
                    return answer.result()
                if self._is_stuck(pending):
                    self._send_again(turn, pending)
            return None
        finally:
            del self._pending[turn]

    def why_unanswered(self) -> str:
        """Say, in one line, why there may have been no answer."""
        if not self._bus.connected:
            return f"no answer within {self._patience_s:g} s: the MQTT broker is away"
        if not self._engines:
            return "no engine is there: start one with `assistant engine`"
        return f"no answer within {self._patience_s:g} s (satellites.patience_s)"

    async def _wait(self, answer: asyncio.Future[AnswerPayload], seconds: float) -> None:
        timer = asyncio.ensure_future(self._clock.sleep(seconds))
        either: set[asyncio.Future[Any]] = {answer, timer}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()

    def _is_stuck(self, pending: _Pending) -> bool:
        longest_s = TAKE_S * 2 ** (pending.tries - 1)
        if pending.engine is not None:
            longest_s = self._patience_s / 2
        is_late = self._clock.now() - pending.asked_at > longest_s
        return is_late and bool(self._engines) and self._bus.connected

    def _send(self, pending: _Pending) -> None:
        pending.engine, pending.asked_at = None, self._clock.now()
        pending.tries += 1
        topics = self._bus.topics
        topic = topics.utterance_for(pending.asker) if pending.asker else topics.utterance
        self._bus.post(topic, pending.sound, pending.envelope)

    def _send_again(self, turn: str, pending: _Pending) -> None:
        self.resent += 1
        _log.warning("an utterance is sent again", turn=turn, engine=pending.engine)
        pending.asker = None
        self._send(pending)

    def _hear(self, message: aiomqtt.Message) -> None:
        try:
            answer = AnswerPayload.read(bytes(message.payload or b""))
        except ValidationError:
            self.refused += 1
            _log.warning(f"refused an answer on {message.topic.value}: it is none")
            return
        pending = self._pending.get(answer.turn)
        if pending is None or pending.answer.done() or message.retain:
            self.duplicates += answer.kind is not AnswerKind.TAKEN
        elif answer.kind is AnswerKind.TAKEN:
            pending.engine, pending.asked_at = answer.engine, self._clock.now()
        elif answer.reply is None or self._is_ours(answer):
            pending.answer.set_result(answer)
        else:
            self.refused += 1
            _log.warning(f"refused the answer to {answer.turn}: its reply is to another turn")

    def _is_ours(self, answer: AnswerPayload) -> bool:
        reply, site = answer.reply, self._bus.topics.site
        return reply is not None and (reply.turn, reply.site) == (answer.turn, site)

    def _note_engine(self, message: aiomqtt.Message) -> None:
        engine = self._bus.topics.site_of(message.topic.value)
        if message.payload == b"online":
            is_news = engine not in self._engines and not message.retain
            if len(self._engines | {engine}) > MOST_ENGINES:
                self.refused += 1
                return
            self._engines.add(engine)
            orphans = self._waiting_for(None) if is_news else []
        else:
            self._engines.discard(engine)
            orphans = self._waiting_for(engine)
        for turn, pending in orphans:
            if pending.tries < MOST_TRIES:
                self._send_again(turn, pending)

    def _waiting_for(self, engine: str | None) -> list[tuple[str, _Pending]]:
        """Utterances that an engine has, or that were meant for it alone."""
        pending = self._pending.items()
        return [(turn, each) for turn, each in pending if (each.engine or each.asker) == engine]
