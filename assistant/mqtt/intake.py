"""An engine's own connection: it takes utterances in turn with other engines, and answers them."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from random import SystemRandom

import aiomqtt
import structlog
from aiomqtt import ProtocolVersion

from assistant.clock import Clock
from assistant.errors import TransientError, UserError
from assistant.mqtt.connection import Connection, Failure, Session, explain
from assistant.mqtt.credentials import address
from assistant.mqtt.envelope import Envelope
from assistant.mqtt.message import Message
from assistant.mqtt.retries import Retries, connect
from assistant.mqtt.rooms import (
    MAX_SAID_BYTES,
    MAX_SOUND_BYTES,
    MOST_SAID,
    AnswerKind,
    AnswerPayload,
)
from assistant.mqtt.topics import Topics
from assistant.recent import Recent
from assistant.settings import MqttSettings
from assistant.turn import EndReason

SHARE = "$share/engines/"
"""Before a topic: each message goes to one engine only."""
IN_HAND = 16
"""Utterances that the broker lets an engine have before it acknowledges one."""
_MOST_INTENTS = 500
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CHANCE = SystemRandom()

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One utterance, which the broker keeps until it is acknowledged."""

    site: str
    turn: str
    sound: bytes
    ended_by: EndReason
    acknowledge: Callable[[], None]
    """Let the broker forget it; does nothing once the connection it came by is gone."""
    answers: str = ""
    """The turn whose question was open when the speech began, if one was."""
    only: tuple[str, ...] | None = None
    """The only intents that may answer; None for all."""
    said: tuple[AnswerPayload, ...] = ()
    """What was answered at the site before, oldest first, as far as it may go on from that."""


class Intake:
    """One member of the shared subscription to everything that satellites hear.

    An utterance stays unacknowledged until it is answered, so that a broker which gives the work of
    a dead engine to another can do so. Brokers that do not, mosquitto among them, at least say
    `offline` for it at once, and the satellites send again.
    """

    def __init__(
        self,
        settings: MqttSettings,
        site: str,
        identity: str,
        clock: Clock,
        *,
        refuse: Callable[[str], None],
        chance: Callable[[], float] = _CHANCE.random,
    ) -> None:
        """`refuse` is told, in one line, of each message that is no utterance.

        Raises `UserError` where the settings rule MQTT 5 out.
        """
        if settings.protocol == "3.1.1":
            raise UserError("satellites.serve needs MQTT 5, which mqtt.protocol rules out")
        self.refused = 0
        """Messages that were no utterances."""
        self._settings = settings
        self._topics = Topics(settings.base_topic, site)
        name = f"{settings.client_id or f'{settings.base_topic}-{site}-{identity}'}-engine"
        self._session = Session(name, self._topics.engine, manual_ack=True, receive_maximum=IN_HAND)
        self._retries = Retries(clock, chance, name)
        self._refuse = refuse
        self._client: Connection | None = None
        self._deliveries: asyncio.Queue[Delivery] = asyncio.Queue()
        """Bounded by the session: all of them wait for their acknowledgement."""
        self._answered_elsewhere: Recent[str, None] = Recent(4 * IN_HAND)
        self._overhear: Callable[[AnswerPayload], None] = lambda _: None

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            await self._retries.attempt(self._attempt)

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """Every utterance, in order, for ever; meant for one consumer."""
        while True:
            yield await self._deliveries.get()

    async def answer(self, site: str, answer: AnswerPayload) -> None:
        """Tell a satellite, and return once the broker has it; else raise `TransientError`."""
        topic = Topics(self._topics.base, site).answer
        told = (("kind", answer.kind.value), ("engine", answer.engine))
        plain = Envelope.of_json("answer", answer.turn)
        about = replace(plain, user=plain.user + told, correlation=answer.turn.encode())
        try:
            if self._client is None:
                raise TransientError(f"no broker takes the answer to {answer.turn}")
            refusal = await self._client.send(Message(topic, answer.encode(), envelope=about))
        except aiomqtt.MqttError as error:
            raise TransientError(f"the broker did not take {answer.turn}: {error}") from error
        if refusal:
            raise TransientError(f"the broker did not take {answer.turn}: {refusal}")

    def overhear(self, hear: Callable[[AnswerPayload], None]) -> None:
        """Let `hear`, which never raises, know of every reply that another engine gives."""
        self._overhear = hear

    def answered_elsewhere(self, turn: str) -> bool:
        """Whether another engine was heard answering this turn."""
        return turn in self._answered_elsewhere

    async def _attempt(self) -> Failure:
        reason = await connect(self._settings, self._session, ProtocolVersion.V5, self._serve)
        return explain(reason, self._settings)

    async def _serve(self, client: Connection) -> None:
        self._client = client
        try:
            shared = SHARE + self._topics.everywhere(self._topics.utterance)
            answers = self._topics.everywhere(self._topics.answer)
            own = self._topics.everywhere(self._topics.utterance_for(self._topics.site))
            for topic in await client.listen([shared, own, answers]):
                _log.error(f"the MQTT broker forbids listening to {topic}: check its access list")
            await client.publish(self._topics.engine, "online", qos=1, retain=True)
            host, port = address(self._settings)
            _log.info("serving satellites", host=host, port=port)
            self._retries.succeeded()
            async for message in client.messages:
                self._hear(client, message)
        except asyncio.CancelledError:
            await self._farewell(client)
            raise
        finally:
            self._client = None

    async def _farewell(self, client: Connection) -> None:
        try:
            await client.publish(self._topics.engine, "offline", qos=1, retain=True, timeout=0.3)
        except aiomqtt.MqttError:
            return

    def _hear(self, client: Connection, message: aiomqtt.Message) -> None:
        topic, envelope = message.topic.value, Envelope.of_properties(message.properties)
        site = self._topics.site_of(topic)
        if topic == Topics(self._topics.base, site).answer:
            client.acknowledge(message)
            self._note_answer(site, envelope, message)
            return

        def acknowledge() -> None:
            if self._client is client:
                client.acknowledge(message)

        turn, answers = envelope.get("turn") or "", envelope.get("answers") or ""
        reason = _unfit(site, turn, message)
        if reason:
            self.refused += 1
            acknowledge()
            self._refuse(f"refused an utterance on {topic[:120]}: {reason}")
            return
        ended_by = envelope.get("ended_by") or ""
        known = EndReason(ended_by) if ended_by in set(EndReason) else EndReason.SILENCE
        sound = bytes(message.payload or b"")
        answers = answers if _NAME.fullmatch(answers) else ""
        wanted = envelope.get("intents")
        only = None if wanted is None else tuple(wanted.split()[:_MOST_INTENTS])
        said = self._said_before(site, envelope)
        heard = Delivery(site, turn, sound, known, acknowledge, answers, only, said)
        self._deliveries.put_nowait(heard)

    def _said_before(self, site: str, envelope: Envelope) -> tuple[AnswerPayload, ...]:
        """Read what the satellite tells of before; nothing, if any of it is not what it should."""
        told = [value for name, value in envelope.user if name == "said"]
        fits = len(told) <= MOST_SAID and all(len(each) <= MAX_SAID_BYTES for each in told)
        try:
            said = [AnswerPayload.read(each.encode()) for each in told] if fits else []
        except ValueError:
            said = []
        own = [each for each in said if each.reply is not None and each.reply.site == site]
        if len(own) < len(told):
            self.refused += 1
            return ()
        return tuple(own)

    def _note_answer(self, site: str, envelope: Envelope, message: aiomqtt.Message) -> None:
        """Remember, for a while, what was answered by others; `taken` is no answer."""
        turn, kind = envelope.get("turn"), envelope.get("kind")
        if not turn or kind == AnswerKind.TAKEN or envelope.get("engine") == self._topics.site:
            return
        self._answered_elsewhere.put(turn[:64], None)
        payload = bytes(message.payload or b"")
        if message.retain or kind != AnswerKind.REPLY:
            return
        try:
            answer = AnswerPayload.read(payload[: self._settings.max_payload_bytes])
        except ValueError:
            self.refused += 1
            return
        reply, engine = answer.reply, answer.engine
        if reply is not None and reply.site == site and engine != self._topics.site:
            self._overhear(answer)


def _unfit(site: str, turn: str, message: aiomqtt.Message) -> str:
    """Say why it cannot be answered; empty when it can."""
    if message.retain:
        return "it is retained, so it may be old"
    if message.qos == 0:  # of which the session lets any number wait
        return "it came with QoS 0: send it with 1"
    if len(message.payload or b"") > MAX_SOUND_BYTES:
        return f"it has {len(message.payload)} bytes, over {MAX_SOUND_BYTES}"
    if not _NAME.fullmatch(site):
        return "the site in its topic is none"
    if not _NAME.fullmatch(turn):
        return "it has no user property `turn` of letters, digits, - and _"
    return ""
