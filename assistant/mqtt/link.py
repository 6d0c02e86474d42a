"""Keeps one connection to the broker: connects, greets, sends in order, hears, says good-bye."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from random import SystemRandom

import aiomqtt
import structlog

from assistant.clock import Clock
from assistant.errors import TransientError
from assistant.mqtt.connection import (
    Connection,
    Dialect,
    Failure,
    Session,
    UnsendableError,
    explain,
)
from assistant.mqtt.counters import Counters
from assistant.mqtt.credentials import address
from assistant.mqtt.envelope import Envelope
from assistant.mqtt.message import Message, unpacked
from assistant.mqtt.outbox import Outbox
from assistant.mqtt.retries import Retries, connect
from assistant.mqtt.topics import Topics
from assistant.mqtt.window import Flight, Window
from assistant.settings import MqttSettings

_log = structlog.get_logger(__name__)

_CHANCE = SystemRandom()
_LIVE_CAPACITY = 64
_STOP_DRAIN_S = 0.4
_STOP_FAREWELL_S = 0.3


class Link:
    """One connection at a time, a new client for each attempt."""

    def __init__(
        self,
        settings: MqttSettings,
        identifier: str,
        topics: Topics,
        clock: Clock,
        outbox: Outbox,
        *,
        subscriptions: Sequence[str],
        greeting: Callable[[], Sequence[Message]],
        hear: Callable[[aiomqtt.Message], None],
        chance: Callable[[], float] = _CHANCE.random,
    ) -> None:
        """`greeting` gives the last values, said on every connection before `online`."""
        self.counters = Counters()
        self._settings = settings
        self._session = Session(
            identifier, topics.status, settings.will_delay_s, settings.session_expiry_s
        )
        self._dialect = Dialect(settings.protocol)
        self._topics = topics
        self._outbox = outbox
        self._subscriptions = [*subscriptions]
        self._subscribing: set[asyncio.Task[None]] = set()
        self._greeting = greeting
        self._hear = hear
        self._retries = Retries(clock, chance)
        self._client: Connection | None = None
        self._live: deque[Message] = deque()
        self._work = asyncio.Event()
        self._delivered_all = asyncio.Event()
        self._online = asyncio.Event()
        self._tried = asyncio.Event()
        self._first_failure: str | None = None
        self._stopping = False

    @property
    def connected(self) -> bool:
        """The broker has been told `online`, and nothing has gone wrong since."""
        return self._online.is_set()

    async def first_connect(self) -> str | None:
        """Wait for the end of the first attempt: None for success, else one line that says why."""
        await self._tried.wait()
        return self._first_failure

    async def wait_connected(self) -> None:
        """Wait until `connected`."""
        await self._online.wait()

    def listen(self, topic: str) -> None:
        """Hear this topic, too, now and on every connection."""
        self._subscriptions.append(topic)
        if self._client is not None:
            work = self._subscribe_later(self._client, topic)
            task = asyncio.create_task(work, name="mqtt-listen")
            self._subscribing.add(task)
            task.add_done_callback(self._subscribing.discard)

    def post(self, topic: str, payload: bytes, envelope: Envelope) -> None:
        """Send, by way of the outbox, whenever the broker is there before the envelope expires."""
        self._outbox.append(topic, payload, envelope.dump(), lifetime_s=envelope.expiry_s)
        self._delivered_all.clear()
        self._work.set()

    def send(self, message: Message) -> None:
        """Send now, or never: without a connection, or pushed out by newer ones, it is lost."""
        if self._client is None:
            self._lose(message)
            return
        if len(self._live) >= _LIVE_CAPACITY:
            self._lose(self._live.popleft())
        self._live.append(message)
        self._work.set()

    async def publish(self, message: Message) -> None:
        """Send now and wait for the acknowledgement; `TransientError` when none will come."""
        done = asyncio.get_running_loop().create_future()
        self.send(replace(message, done=done))
        try:
            await done
        except aiomqtt.MqttError as error:
            host, port = address(self._settings)
            broker = f"the MQTT broker {host}:{port}"
            raise TransientError(f"{broker} did not take {message.topic}: {error}") from error

    async def run(self) -> None:
        """Stay connected until cancelled, then say `offline` and disconnect within a second."""
        self._stopping = False
        keeper = asyncio.create_task(self._keep_connected(), name="mqtt-keeper")
        try:
            await asyncio.wait({keeper})
            keeper.result()
        finally:
            self._stopping = True
            try:
                if self.connected:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._delivered_all.wait(), _STOP_DRAIN_S)
            finally:
                keeper.cancel()
                await asyncio.wait({keeper}, timeout=2 * _STOP_FAREWELL_S)

    async def _keep_connected(self) -> None:
        while not self._stopping:
            if self._outbox.checkpoint_due:
                await self._outbox.checkpoint()
            await self._retries.attempt(self._attempt)

    async def _attempt(self) -> Failure:
        """Connect and serve until something goes wrong; returns what did."""
        failure = await self._connect()
        if not self._tried.is_set():
            self._first_failure = failure.reason
            self._tried.set()
        return failure

    async def _connect(self) -> Failure:
        settings, session = self._settings, self._session
        reason = await connect(settings, session, self._dialect.version, self._serve)
        if self._dialect.failed(reason):
            reason = await connect(settings, session, self._dialect.version, self._serve)
            self._dialect.failed(reason)
        return explain(reason, settings)

    async def _serve(self, client: Connection) -> None:
        self._dialect.succeeded()
        self._client = client
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._receive(client), name="mqtt-receive")
                await self._greet(client)
                tasks.create_task(self._send(client), name="mqtt-send")
        except asyncio.CancelledError:
            with suppress(aiomqtt.MqttError):
                await client.publish(
                    self._topics.status, "offline", qos=1, retain=True, timeout=_STOP_FAREWELL_S
                )
            raise
        finally:
            self._client = None
            self.counters.dropped_commands += client.lost
            self._online.clear()
            while self._live:
                self._lose(self._live.popleft())

    async def _greet(self, client: Connection) -> None:
        """Listen before saying `online`, so that who answers to that is heard."""
        await self._subscribe(client, self._subscriptions)
        for message in self._greeting():
            await self._publish(client, message)
        await self._publish(client, Message(self._topics.status, b"online", retain=True))
        self.counters.connects += 1
        self._retries.succeeded()
        self._online.set()
        self._tried.set()
        host, port = address(self._settings)
        waiting, version = self._outbox.depth, client.protocol.name
        _log.info(
            "connected to the MQTT broker", host=host, port=port, waiting=waiting, version=version
        )

    async def _subscribe(self, client: Connection, topics: Sequence[str]) -> None:
        for topic in await client.listen(topics):
            _log.error(f"the MQTT broker forbids listening to {topic}: check its access list")

    async def _subscribe_later(self, client: Connection, topic: str) -> None:
        with suppress(aiomqtt.MqttError):  # then the next connection does
            await self._subscribe(client, [topic])

    async def _receive(self, client: Connection) -> None:
        async for message in client.messages:
            self._hear(message)

    async def _send(self, client: Connection) -> None:
        """Send in order, a window of messages at a time, whatever is posted or sent."""
        window, last = Window(client, self._work), 0
        try:
            async with asyncio.TaskGroup() as chores:
                while True:
                    self._work.clear()
                    self._took(window.taken())
                    # what is said now does not wait for all that was said long ago
                    room = window.room // 2 if self._live else window.room
                    for parcel in self._outbox.after(last, room):
                        self._launch(window, unpacked(parcel))
                        last = parcel.id
                    while self._live and window.room:
                        self._launch(window, self._live.popleft())
                    if self._outbox.checkpoint_due:
                        chore = chores.create_task(
                            self._outbox.checkpoint(), name="mqtt-checkpoint"
                        )
                        chore.add_done_callback(lambda _: self._work.set())  # it locks the file
                    await window.wait()
        finally:
            self._took(window.taken())
            for flight in window.ahead():
                self._took([flight])
            for message in window.left():
                if message.parcel_id is None:
                    self._lose(message)

    def _launch(self, window: Window, message: Message) -> None:
        """Send it, or forget for good what nobody could: the others must not wait behind it."""
        try:
            window.send(message)
        except UnsendableError as error:
            _log.error(f"a message is lost: {error}")
            self.counters.dropped += 1
            if message.parcel_id is not None:
                self._outbox.delete(message.parcel_id)
            _refuse(message, str(error))

    def _took(self, flights: Sequence[Flight]) -> None:
        """Forget what the broker has taken; parcels come in the order of their ids, without a gap.

        What it threw away is not tried again: it would throw it away again.
        """
        ids = (flight.message.parcel_id for flight in flights)
        parcels = [each for each in ids if each is not None]
        if parcels:
            self._outbox.delete(parcels[0], parcels[-1])
        for flight in flights:
            done = flight.message.done
            if flight.refusal:
                self.counters.dropped += 1
                _refuse(flight.message, flight.refusal)
            else:
                self.counters.published += 1
                if done and not done.done():
                    done.set_result(None)
        if self._outbox.depth == 0:
            self._delivered_all.set()

    async def _publish(self, client: Connection, message: Message) -> None:
        if await client.send(message):
            self.counters.dropped += 1
        else:
            self.counters.published += 1

    def _lose(self, message: Message) -> None:
        """Count what is gone for good; a last value is not, it is said again."""
        self.counters.dropped += message.done is not None or not message.retain
        _refuse(message, "there is no connection")


def _refuse(message: Message, reason: str) -> None:
    if message.done and not message.done.done():
        message.done.set_exception(aiomqtt.MqttError(reason))
