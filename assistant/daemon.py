"""The running assistant: every room opened, wired, watched and closed again."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import structlog

from assistant.audio.endpoint import Endpointer
from assistant.audio.listener import Listener
from assistant.audio.microphone import Lost, MicrophoneStatus
from assistant.audio.source import FRAME_S, Source
from assistant.audio.vad import make_vad
from assistant.audio.wakeword import make_wake_word
from assistant.clerk import Clerk, reload_plugins
from assistant.clock import Clock, SystemClock
from assistant.controls import DEFAULT_MODEL, Controls, Memory, chosen_model, with_model
from assistant.dialogue import Dialogue, new_turn_id
from assistant.errors import UserError
from assistant.garbage import no_search
from assistant.health import Health
from assistant.herald import Herald
from assistant.intents import Intents
from assistant.mqtt.bus import Bus
from assistant.mqtt.connection import device_id
from assistant.mqtt.embedded import maybe_embedded
from assistant.mqtt.outbox import Outbox
from assistant.mqtt.payloads import EventType
from assistant.obeying import Conversation, obey_all
from assistant.origins import on_change
from assistant.outdoors import Outdoors
from assistant.settings import MqttSettings, Settings
from assistant.settings import Source as SourceKind
from assistant.settings_layers import fingerprint
from assistant.stopping import CLOSE_S, FAREWELL_S, end
from assistant.supervisor import Supervisor
from assistant.threads import beside
from assistant.understanding import Mind, load_mind
from assistant.vitals import Vitals
from assistant.worker import Cancel as CancelWork
from assistant.worker import Worker

if TYPE_CHECKING:
    from assistant.hermes.bridge import Bridge
    from assistant.satellites.attendant import Attendant

FIRST_SOUND_POLL_S = 0.05
BEAT_S = 1.0
"""How often the watchdog is fed while sound comes in."""
_ENGINE_CLOSE_S = 0.3
_PLUGINS_CLOSE_S = 0.5

_log = structlog.get_logger(__name__)

Ears = Callable[[Callable[[MicrophoneStatus], None]], Source]
"""Makes the source; what it is given is to be told when a microphone is lost."""
Background = Mapping[str, Callable[[], Awaitable[None]]]
"""Work that goes on meanwhile, by its names."""


class Daemon:
    """One assistant at one site."""

    def __init__(
        self,
        settings: Settings,
        ears: Ears,
        herald: Herald,
        *,
        clock: Clock | None = None,
        wall_time: Callable[[], float] = time.time,
        mind: Callable[[Settings, Callable[[], Intents]], Mind] = load_mind,
        new_id: Callable[[], str] = new_turn_id,
        watch_plugins: bool = False,
    ) -> None:
        """`wall_time` gives seconds since 1970, `new_id` names turns, `mind` loads the model.

        With `watch_plugins` a plugin is reloaded when its file is saved.
        """
        self._watch_plugins = watch_plugins
        self._settings, self._ears, self._herald = settings, ears, herald
        self._clock, self._wall_time = clock or SystemClock(), wall_time
        self._load_mind, self._new_id = mind, new_id
        self._supervisor = Supervisor(self._clock)
        self._memory, self._model = Memory(settings.state_folder), DEFAULT_MODEL
        self._bridge: Bridge | None = None
        self._broker: asyncio.Future[MqttSettings] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Serve until the source ends or the caller cancels; the broker is then told `offline`.

        Raises `UserError` for what only the user can mend: a model, a recording, a state folder.
        """
        settings = self._settings
        async with maybe_embedded(settings.mqtt) as broker:
            self._broker.set_result(broker)
            folder = settings.state_folder
            with Outbox.open(folder, broker) as outbox:
                bus = Bus(
                    broker, settings.site, folder, self._clock, outbox,
                    wall_time=self._wall_time, models=tuple(settings.engine.models),
                )  # fmt: skip
                self._bridge = _bridge(bus, self._clock) if broker.hermes else None
                await self._serve(bus)

    async def broker_ready(self) -> MqttSettings:
        """Wait for the settings that the broker can be reached with, the embedded one included."""
        return await asyncio.shield(self._broker)

    async def _serve(self, bus: Bus) -> None:
        """The connection outlives everything else, so that the last words are still sent."""
        connection = asyncio.create_task(self._supervisor.keep("mqtt", bus.run), name="mqtt")
        conversation = asyncio.create_task(self._converse(bus), name="conversation")
        try:
            await asyncio.wait({connection, conversation}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._herald.stopping()
            await end(conversation, CLOSE_S)
            await end(connection, FAREWELL_S)
        for task in (conversation, connection):
            if task.done() and not task.cancelled():
                task.result()

    async def _converse(self, bus: Bus) -> None:
        worker = Worker("engine")
        try:
            intents, mind = await worker.run(self._load)
            await self._listen(bus, worker, intents, mind)
        finally:
            await worker.close(_ENGINE_CLOSE_S)

    def _load(self, cancel: CancelWork) -> tuple[Intents, Mind]:
        with no_search():
            intents = beside(partial(Intents.load, self._settings), "plugins")
            mind = self._load_chosen(intents, cancel)
            return intents(), mind

    def _load_chosen(self, intents: Callable[[], Intents], cancel: CancelWork) -> Mind:
        chosen = chosen_model(self._settings, self._memory)
        try:
            mind = self._load_other(intents, chosen, cancel)
        except UserError as error:
            if chosen == DEFAULT_MODEL:
                raise
            _log.warning("the model chosen last cannot be used", model=chosen, reason=str(error))
            chosen, mind = DEFAULT_MODEL, self._load_other(intents, DEFAULT_MODEL, cancel)
        self._model = chosen
        return mind

    def _load_other(self, intents: Callable[[], Intents], name: str, cancel: CancelWork) -> Mind:
        cancel.check()
        return self._load_mind(with_model(self._settings, name), intents)

    async def _listen(self, bus: Bus, worker: Worker, intents: Intents, mind: Mind) -> None:
        settings, clock = self._settings, self._clock
        source, listener, health = self._ears_of(bus)
        dialogue = Dialogue(
            mind, intents, bus, worker,
            site=settings.site, settings=settings.engine, clock=clock, new_id=self._new_id,
            expect=listener.expect,
        )  # fmt: skip
        outdoors = Outdoors(
            bus, dialogue, site=settings.site, clock=clock, wall_time=self._wall_time,
            model=dialogue.model, serves_others=settings.satellites.serve,
        )  # fmt: skip
        for problem in intents.problems:
            bus.event(EventType.ERROR, plugin=problem.plugin, message=problem.reason)
        plugins = tuple(loaded.plugin.name for loaded in intents.plugins)
        health.loaded(model=mind.name, plugins=plugins, config_hash=fingerprint(settings))
        await intents.start(outdoors, threads=True)
        if self._bridge is not None:
            site = settings.site
            limit, match = partial(intents.limit, site), partial(intents.match, site=site)
            self._bridge.connect(limit, listener.heed, match)
        try:
            vitals = Vitals(bus, dialogue, listener, clock, self._wall_time)
            restarts = self._supervisor.restarts
            serves = settings.satellites.serve
            attendant = self._attendant(bus, worker, intents, mind) if serves else None

            async def change_model(name: str) -> None:
                other = await worker.run(partial(self._load_other, lambda: intents, name))
                dialogue.think_with(other)
                if attendant is not None:
                    attendant.think_with(other)
                health.thinks_with(other.name)

            controls = Controls(
                bus, listener, settings, self._memory,
                change_model=change_model, model=self._model,
            )  # fmt: skip
            await controls.restore()
            clerk = Clerk(
                bus, dialogue, intents, controls,
                vitals=vitals, health=health, restarts=restarts,
            )  # fmt: skip
            background: Background = {
                "commands": partial(obey_all, bus, dialogue, listener, controls),
                "watch": partial(self._watch, source, listener, health),
                "metrics": vitals.run,
                "requests": clerk.run,
            }
            if attendant is not None:
                background = {**background, "satellites": attendant.run}
            if self._watch_plugins:
                again = partial(reload_plugins, intents, health)
                watch = partial(on_change, settings.plugins, clock, again)
                background = {**background, "plugins": watch}
            await self._attend(bus, source, listener, dialogue, background)
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PLUGINS_CLOSE_S):
                    await intents.stop()

    def _attendant(self, bus: Bus, worker: Worker, intents: Intents, mind: Mind) -> "Attendant":
        # what few use is imported where it is used: a start is quicker without
        from assistant.mqtt.intake import Intake
        from assistant.satellites.attendant import Attendant

        settings, identity = self._settings, device_id(self._settings.state_folder)

        def refuse(line: str) -> None:
            bus.event(EventType.ERROR, message=line)

        intake = Intake(settings.mqtt, settings.site, identity, self._clock, refuse=refuse)
        return Attendant(
            intake, mind, intents, worker,
            name=settings.site, settings=settings.engine, clock=self._clock,
        )  # fmt: skip

    def _ears_of(self, bus: Bus) -> tuple[Source, Listener, Health]:
        """Make what hears, and what tells whether it does."""
        settings = self._settings

        def on_status(status: MicrophoneStatus) -> None:
            if isinstance(status, Lost):
                health.lost(listener.progress_at, status.reason)
                listener.interrupt()

        source = self._ears(on_status)
        vad, endpointer = make_vad(settings.vad), Endpointer(settings.endpoint)
        partial_ms = settings.engine.partial_ms
        listener = Listener(
            source, vad, endpointer, self._clock,
            partial_ms=partial_ms, wake_word=make_wake_word(settings.wake),
        )  # fmt: skip
        health = Health(bus, self._herald, listener.progress_at)
        return source, listener, health

    async def _attend(
        self,
        bus: Bus,
        source: Source,
        listener: Listener,
        dialogue: Conversation,
        background: Background,
    ) -> None:
        """Hear the source to its end while the work in the background, by its names, goes on."""

        def tell(reason: str) -> None:
            bus.event(EventType.ERROR, message=reason)

        async def hear() -> None:
            async with source, contextlib.aclosing(listener.events()) as events:
                await dialogue.run(events)

        keep = self._supervisor.keep
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(keep(name, work, tell), name=name)
                for name, work in background.items()
            ]
            # a recording would be played again from its beginning; a microphone just goes on
            is_endless = self._settings.audio.source in {SourceKind.MICROPHONE, SourceKind.NONE}
            await (keep("hearing", hear, tell) if is_endless else hear())
            _log.info("the source has ended", heard_s=round(listener.frames * FRAME_S, 2))
            for task in tasks:
                task.cancel()

    async def _watch(self, source: Source, listener: Listener, health: Health) -> None:
        while True:
            await self._clock.sleep(BEAT_S if health.listening else FIRST_SOUND_POLL_S)
            health.beat(listener.progress_at, source.describe())


def _bridge(bus: Bus, clock: Clock) -> "Bridge":
    from assistant.hermes.bridge import Bridge

    return Bridge(bus, clock)
