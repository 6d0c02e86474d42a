"""The running assistant: every room opened, wired, watched and closed again."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from assistant.audio.endpoint import Endpointer
from assistant.audio.listener import Listener
from assistant.audio.source import Source
from assistant.audio.vad import make_vad
from assistant.clock import Clock, SystemClock
from assistant.dialogue import Dialogue
from assistant.errors import UserError
from assistant.intents import Intents
from assistant.mqtt.bus import Bus
from assistant.mqtt.commands import Cancel, Command, Listen, Say, SetMute
from assistant.mqtt.embedded import maybe_embedded
from assistant.mqtt.outbox import Outbox
from assistant.mqtt.payloads import EventType, InfoPayload, Lifecycle
from assistant.outdoors import Outdoors
from assistant.settings import MqttSettings, Settings
from assistant.supervisor import Supervisor
from assistant.turn import StartReason
from assistant.understanding import Mind, load_mind

READY_POLL_S = 0.02

_log = structlog.get_logger(__name__)


class Herald(Protocol):
    """Told how the daemon fares; systemd in real life."""

    def ready(self) -> None:
        """The assistant listens."""

    def alive(self) -> None:
        """Sound came in since the last time."""

    def stopping(self) -> None:
        """The assistant closes down."""


class _SourceEndedError(Exception):
    """Ends the task group: there is nothing left to hear."""


class Daemon:
    """One assistant at one site.

    `listening` is set once the model is loaded and the first sound has arrived.
    """

    def __init__(
        self,
        settings: Settings,
        source: Source,
        herald: Herald,
        *,
        clock: Clock | None = None,
        mind: Callable[[Settings, Intents], Mind] = load_mind,
    ) -> None:
        self.listening = asyncio.Event()
        self._broker: asyncio.Future[MqttSettings] = asyncio.get_running_loop().create_future()
        self._settings, self._source, self._herald = settings, source, herald
        self._clock = clock or SystemClock()
        self._load_mind = mind

    async def run(self) -> None:
        """Serve until the source ends or the caller cancels; the broker is then told `offline`."""
        async with maybe_embedded(self._settings.mqtt) as broker:
            self._broker.set_result(broker)
            with contextlib.closing(self._open_outbox(broker)) as outbox:
                bus = Bus(
                    broker, self._settings.site, self._settings.state_folder, self._clock, outbox
                )
                await self._serve(bus)

    async def broker_ready(self) -> MqttSettings:
        """Wait for the settings that the broker can be reached with, the embedded one included."""
        return await asyncio.shield(self._broker)

    def _open_outbox(self, broker: MqttSettings) -> Outbox:
        folder = self._settings.state_folder
        return Outbox(folder, max_count=broker.outbox_count, max_age_s=broker.outbox_age_s)

    async def _serve(self, bus: Bus) -> None:
        """The connection outlives everything else, so that the last words are still sent."""
        supervisor = Supervisor(self._clock)
        connection = asyncio.create_task(supervisor.keep("mqtt", bus.run), name="mqtt")
        greeting = asyncio.create_task(self._warn_if_away(bus), name="mqtt greeting")
        try:
            intents, mind = await asyncio.to_thread(self._load)
            await self._converse(bus, intents, mind)
        finally:
            self._herald.stopping()
            for task in (greeting, connection):
                task.cancel()
            await asyncio.gather(greeting, connection, return_exceptions=True)

    def _load(self) -> tuple[Intents, Mind]:
        intents = Intents.load(self._settings)
        return intents, self._load_mind(self._settings, intents)

    async def _warn_if_away(self, bus: Bus) -> None:
        if reason := await bus.first_connect():
            _log.warning("broker away; replies are kept until it is back", reason=reason)

    async def _converse(self, bus: Bus, intents: Intents, mind: Mind) -> None:
        settings = self._settings
        listener = Listener(
            self._source,
            make_vad(settings.vad),
            Endpointer(settings.endpoint),
            self._clock,
            partial_ms=settings.engine.partial_ms,
        )
        dialogue = Dialogue(
            mind, intents, bus, site=settings.site, settings=settings.engine, clock=self._clock
        )
        outdoors = Outdoors(bus, dialogue, site=settings.site, clock=self._clock)
        for problem in intents.problems:
            bus.event(EventType.ERROR, plugin=problem.plugin, message=problem.reason)
        await intents.start(outdoors)
        try:
            async with self._source, asyncio.TaskGroup() as tasks:
                for name, work in {
                    "commands": self._obey(bus, dialogue, listener),
                    "watchdog": self._watch(bus, intents, mind, listener),
                }.items():
                    tasks.create_task(work, name=name)
                await dialogue.run(listener.events())
                raise _SourceEndedError  # noqa: TRY301 - the other tasks would go on for ever
        except* _SourceEndedError:
            _log.info("the source has ended")
        finally:
            await intents.stop()

    async def _obey(self, bus: Bus, dialogue: Dialogue, listener: Listener) -> None:
        async for command in bus.commands():
            try:
                await self._obey_one(command, bus, dialogue, listener)
            except Exception as error:  # noqa: BLE001 - one command must not end the daemon
                _log.exception("command failed", command=type(command).__name__)
                bus.event(EventType.ERROR, message=f"{type(command).__name__}: {error}")

    async def _obey_one(
        self, command: Command, bus: Bus, dialogue: Dialogue, listener: Listener
    ) -> None:
        match command:
            case Say(text=text):
                dialogue.say(text)
            case Listen():
                listener.open(StartReason.PUSH_TO_TALK)
            case Cancel():
                listener.cancel()
                await dialogue.cancel()
            case SetMute(muted=muted):
                listener.mute(muted)
                bus.mute(muted=muted)

    async def _watch(self, bus: Bus, intents: Intents, mind: Mind, listener: Listener) -> None:
        """Say `ready` at the first sound, then `alive` for as long as sound keeps coming."""
        started = listener.progress_at
        while listener.progress_at == started:
            await self._clock.sleep(READY_POLL_S)
        info = InfoPayload(
            lifecycle=Lifecycle.READY,
            model=mind.name,
            microphone=self._source.describe(),
            plugins=tuple(loaded.plugin.name for loaded in intents.plugins),
        )
        bus.info(info)
        _log.info("listening", to=info.microphone, model=info.model, site=self._settings.site)
        self._herald.ready()
        self.listening.set()
        seen = listener.progress_at
        while True:
            await self._clock.sleep(1.0)
            if listener.progress_at != seen:
                seen = listener.progress_at
                self._herald.alive()


async def serve_until(stop: asyncio.Event, work: Awaitable[None], *, grace_s: float = 2.0) -> None:
    """Await `work`, or cancel it when `stop` is set and give it `grace_s` to close.

    Raises what `work` raised; an error group of one `UserError` becomes that error.
    """
    task = asyncio.ensure_future(work)
    waiter = asyncio.create_task(stop.wait(), name="stop signal")
    try:
        await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=grace_s)
        if task.done() and not task.cancelled():
            _raise_plainly(task.exception())
    finally:
        waiter.cancel()


def _raise_plainly(error: BaseException | None) -> None:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, BaseExceptionGroup):
        users, _ = error.split(UserError)
        error = users.exceptions[0] if users else error
    if error is not None:
        raise error
