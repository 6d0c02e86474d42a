"""Does what commands ask for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import structlog

from assistant.audio.events import Event
from assistant.audio.listener import Listener
from assistant.controls import Controls
from assistant.errors import AssistantError
from assistant.mqtt.bus import Bus
from assistant.mqtt.commands import Cancel, Command, Listen, Say, SetModel, SetMute, TurnKnob
from assistant.mqtt.payloads import EventType
from assistant.turn import StartReason

_log = structlog.get_logger(__name__)


class Conversation(Protocol):
    """What is made of the things that a listener hears."""

    async def run(self, events: AsyncIterator[Event]) -> None:
        """Follow `events` to their end."""
        ...

    async def cancel(self) -> None:
        """Give up every turn that was heard and not answered."""
        ...

    def say(self, text: str) -> None:
        """Say `text` at this site, unasked."""
        ...


async def obey_all(
    bus: Bus, conversation: Conversation, listener: Listener, controls: Controls
) -> None:
    """Do what is asked for over MQTT, until cancelled; what cannot be done is told."""

    async def obey(command: Command) -> None:
        await _try(command, bus, conversation, listener, controls)

    async with asyncio.TaskGroup() as tasks:
        models = _Models(tasks, bus, obey)
        async for command in bus.commands():
            if isinstance(command, SetModel):  # nobody waits for it, least of all the mute button
                models.want(command)
            else:
                await obey(command)


class _Models:
    """Changes the model in the background: to one at a time, then to the newest of those wanted."""

    def __init__(
        self, tasks: asyncio.TaskGroup, bus: Bus, obey: Callable[[Command], Awaitable[None]]
    ) -> None:
        self._tasks, self._bus, self._obey = tasks, bus, obey
        self._next: SetModel | None = None
        self._is_changing = False

    def want(self, command: SetModel) -> None:
        if self._next is not None:
            overtaken = str(self._next.value)[:80]
            message = f"the model is not changed to {overtaken!r}: another was chosen meanwhile"
            self._bus.event(EventType.ERROR, message=message)
        self._next = command
        if not self._is_changing:
            self._is_changing = True
            self._tasks.create_task(self._change(), name="change of model")

    async def _change(self) -> None:
        while self._next is not None:
            command, self._next = self._next, None
            await self._obey(command)
        self._is_changing = False


async def _try(
    command: Command,
    bus: Bus,
    conversation: Conversation,
    listener: Listener,
    controls: Controls,
) -> None:
    try:
        await _obey(command, conversation, listener, controls)
    except AssistantError as error:
        _log.warning(f"not done: {error}")
        bus.event(EventType.ERROR, message=str(error))


async def _obey(
    command: Command, conversation: Conversation, listener: Listener, controls: Controls
) -> None:
    match command:
        case Say(text=text):
            conversation.say(text)
        case Listen() if listener.muted:
            raise AssistantError("asked to listen while muted: unmute first")
        case Listen():
            listener.open(StartReason.PUSH_TO_TALK)
        case Cancel():
            listener.give_up()
            await conversation.cancel()
        case SetMute(muted=muted):
            controls.mute(muted=muted)
        case TurnKnob(value=value):
            await controls.turn(command.knob, value)
