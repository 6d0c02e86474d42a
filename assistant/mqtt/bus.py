"""What the assistant says over MQTT and what it is asked, whether the broker is there or not."""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from random import SystemRandom
from typing import Any

import aiomqtt

from assistant.clock import Clock
from assistant.mqtt.commands import Command, Say
from assistant.mqtt.connection import device_id
from assistant.mqtt.counters import Counters
from assistant.mqtt.credentials import read_credentials
from assistant.mqtt.discovery import Discovery
from assistant.mqtt.envelope import NO_ENVELOPE, Envelope
from assistant.mqtt.inbox import Inbox
from assistant.mqtt.link import Link
from assistant.mqtt.message import Message
from assistant.mqtt.observer import Observer
from assistant.mqtt.outbox import Outbox
from assistant.mqtt.payloads import (
    Activity,
    EventPayload,
    EventType,
    InfoPayload,
    MetricsPayload,
    PartialPayload,
    Payload,
    QueueDepths,
    ReplyPayload,
    StatePayload,
)
from assistant.mqtt.places import Place, note
from assistant.mqtt.requests import Inquiry, Requester, Response
from assistant.mqtt.topics import CommandName, Knob, Topics, check_topic
from assistant.settings import MqttSettings
from assistant.turn import Reply

_CHANCE = SystemRandom()


class Bus:
    """The assistant's side of the broker.

    `run` keeps the connection; every other method may be called at any time, connected or not.
    `info`, `state`, `mute`, `event`, `reply`, `partial` and `metrics` return at once, whatever the
    broker or the disk does. Replies and events go through the outbox and arrive in order, at least
    once: one that the broker took without living to acknowledge it is sent again, and (`turn`,
    `seq`) tells the copies. Of info, state and mute the last value is kept, and said again on every
    connection; partials and metrics are lost, and counted, while the broker is away. Home Assistant
    is told of the entities before their values, on every connection and whenever it starts.
    """

    def __init__(
        self,
        settings: MqttSettings,
        site: str,
        state_folder: Path,
        clock: Clock,
        outbox: Outbox,
        *,
        wall_time: Callable[[], float] = time.time,
        chance: Callable[[], float] = _CHANCE.random,
        models: tuple[str, ...] = (),
    ) -> None:
        """Check what can be checked without the broker.

        `wall_time` gives seconds since 1970, `chance` a number between 0 and 1 that spreads the
        attempts to connect, `models` names those that can be chosen. Raises `UserError`, which
        names the setting, for a password file or certificate that cannot be read and for a state
        folder that cannot be written.
        """
        read_credentials(settings)
        self.topics = Topics(settings.base_topic, site)
        self._settings, self._site = settings, site
        self._outbox = outbox
        self._wall_time = wall_time
        self._hearers: list[tuple[str, Callable[[aiomqtt.Message], None]]] = []
        self._knobs: dict[Knob, str] = {}
        self._observers: list[Observer] = []
        self._info = InfoPayload()
        self._state = StatePayload(since=wall_time())
        identity = device_id(state_folder)
        prefix = settings.discovery_prefix
        device = Discovery(self.topics, identity, prefix, models)
        self._discovery = device if settings.discovery else None
        note(state_folder, Place(self.topics.root, device.topic))
        self._link = Link(
            settings,
            settings.client_id or f"{settings.base_topic}-{site}-{identity}",
            self.topics,
            clock,
            outbox,
            subscriptions=self._subscriptions,
            greeting=self._last_values,
            hear=self._hear,
            chance=chance,
        )
        self._inbox = Inbox(
            self.topics,
            self._link.counters,
            clock,
            settings,
            report=lambda line: self.event(EventType.ERROR, message=line),
            respond=self.respond,
            wall_time=wall_time,
        )

    async def run(self) -> None:
        """Stay connected until cancelled, then say `offline` and disconnect within a second."""
        await self._link.run()

    @property
    def connected(self) -> bool:
        """The broker has been told `online`, and nothing has gone wrong since."""
        return self._link.connected

    async def first_connect(self) -> str | None:
        """Wait for the end of the first attempt: None for success, else one line that says why."""
        return await self._link.first_connect()

    async def wait_connected(self) -> None:
        """Wait until `connected`, for as long as it takes."""
        await self._link.wait_connected()

    @property
    def counters(self) -> Counters:
        """A copy of the counters, the outbox's included."""
        counters = self._link.counters
        dropped = counters.dropped + self._outbox.dropped
        return replace(counters, dropped=dropped, expired=self._outbox.expired)

    def info(self, info: InfoPayload) -> None:
        """Replace what is said about this assistant."""
        self._info = info
        self._link.send(self._info_message)

    def state(self, activity: Activity, turn: str | None = None) -> None:
        """Say what the assistant does now, and for which turn."""
        self._state = StatePayload(
            state=activity, turn=turn, since=self._wall_time(), muted=self._state.muted
        )
        self._link.send(self._state_message)
        for observer in self._observers:
            observer.state(activity)

    def mute(self, *, muted: bool) -> None:
        """Say that the microphone is, or is no longer, muted."""
        self._state = self._state.model_copy(update={"muted": muted})
        self._link.send(self._mute_message)
        self._link.send(self._state_message)

    def knob(self, name: Knob, value: str) -> None:
        """Say the applied value of something that can be changed while the assistant runs."""
        self._knobs[name] = value
        self._link.send(self._knob_message(name))

    def event(self, event_type: EventType, turn: str | None = None, **details: Any) -> None:
        """Say that something happened; `details` stand beside the payload's own fields."""
        payload = EventPayload(
            event_type=event_type, site=self._site, at=self._wall_time(), turn=turn, **details
        )
        self._link.post(self.topics.event, payload.encode(), self._news("event", turn))
        for observer in self._observers:
            observer.event(event_type, turn, details)

    def reply(self, reply: Reply, *, seq: int = 0, final: bool = True) -> None:
        """Say an answer, or its part number `seq`."""
        self.relay(ReplyPayload.of(reply, seq=seq, final=final))

    def say_at(self, site: str, text: str) -> None:
        """Let a satellite say `text`, unasked; raises `UserError` for what cannot be its name."""
        topic = check_topic(Topics(self.topics.base, site).command(CommandName.SAY))
        about = Envelope.of_json("say", expiry_s=self._settings.command_expiry_s)
        self._link.post(topic, Say(text=text).model_dump_json(exclude_none=True).encode(), about)

    def partial(self, turn: str, seq: int, text: str) -> None:
        """Say the transcript so far of an utterance that goes on."""
        payload = PartialPayload(turn=turn, site=self._site, seq=seq, text=text)
        about = Envelope.of_json("partial", turn)
        self._link.send(Message(self.topics.partial, payload.encode(), qos=0, envelope=about))

    def metrics(self, metrics: MetricsPayload) -> None:
        """Say how the daemon fares; only the next one is worth more than this one."""
        about = Envelope.of_json("metrics")
        self._link.send(Message(self.topics.metrics, metrics.encode(), qos=0, envelope=about))

    async def publish(self, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        """Publish for a plugin, and return once the broker has acknowledged it.

        Raises `UserError` for a topic nobody can publish on, and `TransientError` when the broker
        is away, gives no answer or throws it away: a command to a lamp is worthless an hour later,
        so it is not kept.
        """
        body = payload.encode() if isinstance(payload, str) else payload
        about = NO_ENVELOPE if retain else Envelope(self._settings.command_expiry_s)
        await self._link.publish(Message(check_topic(topic), body, retain=retain, envelope=about))

    def relay(self, payload: ReplyPayload) -> None:
        """Say an answer that an engine has given."""
        self._link.post(self.topics.reply, payload.encode(), self._news("reply", payload.turn))
        for observer in self._observers:
            observer.reply(payload)

    def post(self, topic: str, payload: bytes, envelope: Envelope) -> None:
        """Send what must arrive: it goes the way of the replies, and waits as long as it may."""
        self._link.post(topic, payload, envelope)

    def send(self, message: Message) -> None:
        """Send what is worthless later: now, or never."""
        self._link.send(message)

    def listen(self, topic: str, hear: Callable[[aiomqtt.Message], None]) -> None:
        """Hear a topic, or all that a pattern matches, beside the commands; `hear` never raises."""
        self._hearers.append((topic, hear))
        self._link.listen(topic)

    def watch(self, observer: Observer) -> None:
        """Let `observer`, which never raises, see every event, reply and state from now on."""
        self._observers.append(observer)

    def obey(self, command: Command) -> None:
        """Do what a message in another protocol asks for."""
        self._inbox.push(command)

    def commands(self) -> AsyncIterator[Command]:
        """Every command, in order, for ever; meant for one consumer."""
        return self._inbox.commands()

    def requests(self) -> AsyncIterator[Inquiry]:
        """Every request, in order, for ever; meant for one consumer, which responds to each."""
        return self._inbox.requests()

    def respond(self, whom: Requester, response: Response) -> None:
        """Answer a request; whoever asked has gone when the broker has, so it is not kept."""
        told = response.model_copy(update={"transaction": whom.transaction})
        about = Envelope.of_json(f"response/{whom.name}")
        about = replace(about, correlation=whom.correlation)
        topic = whom.respond_to or self.topics.response(whom.name)
        self._link.send(Message(topic, told.encode(), envelope=about))

    @property
    def queues(self) -> QueueDepths:
        """How much waits, either way."""
        return QueueDepths(outbox=self._outbox.depth, commands=self._inbox.depth)

    def _hear(self, message: aiomqtt.Message) -> None:
        topic = message.topic.value
        for pattern, hear in self._hearers:
            if message.topic.matches(pattern):
                hear(message)
        if self._discovery is None or topic != self._discovery.birth_topic:
            envelope = Envelope.of_properties(message.properties)
            self._inbox.take(topic, message.payload, retained=message.retain, envelope=envelope)
        elif message.payload == b"online" and not message.retain:
            for last in self._last_values():
                self._link.send(last)

    def _last_values(self) -> tuple[Message, ...]:
        knobs = map(self._knob_message, self._knobs)
        values = (self._info_message, self._state_message, self._mute_message, *knobs)
        if self._discovery is None:
            return values
        return Message(self._discovery.topic, self._discovery.encode(), retain=True), *values

    @property
    def _subscriptions(self) -> tuple[str, ...]:
        births = (self._discovery.birth_topic,) if self._discovery else ()
        return (*self.topics.incoming, *births)

    @property
    def _info_message(self) -> Message:
        return self._lasting(self.topics.info, "info", self._info)

    @property
    def _state_message(self) -> Message:
        return self._lasting(self.topics.state, "state", self._state)

    @property
    def _mute_message(self) -> Message:
        return Message(self.topics.mute, b"ON" if self._state.muted else b"OFF", retain=True)

    def _knob_message(self, name: Knob) -> Message:
        return Message(self.topics.knob(name), self._knobs[name].encode(), retain=True)

    def _lasting(self, topic: str, schema: str, payload: Payload) -> Message:
        about = Envelope.of_json(schema)
        return Message(topic, payload.encode(), retain=True, envelope=about)

    def _news(self, schema: str, turn: str | None) -> Envelope:
        """Nobody wants to hear at the broker what would have been too old for the outbox."""
        return Envelope.of_json(schema, turn, expiry_s=self._settings.outbox_age_s)
