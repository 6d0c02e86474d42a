"""Does what commands ask for."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

from assistant.audio.events import Event
from assistant.audio.listener import Listener
from assistant.controls import Controls
from assistant.errors import AssistantError
from assistant.mqtt.bus import Bus
from assistant.mqtt.commands import Cancel, Command, Listen, Say, SetModel, SetMute, TurnKnob
from assistant.mqtt.payloads import EventType
from assistant.turn import StartReason


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
    async with asyncio.TaskGroup() as tasks:
        async for command in bus.commands():
            work = _try(command, bus, conversation, listener, controls)
            if isinstance(command, SetModel):  # nobody waits for it, least of all the mute button
                tasks.create_task(work, name="change of model")
            else:
                await work


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
            listener.cancel()
            await conversation.cancel()
        case SetMute(muted=muted):
            controls.mute(muted=muted)
        case TurnKnob(value=value):
            await controls.turn(command.knob, value)
