"""Takes back what this assistant left behind on the broker."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import aiomqtt

from assistant.errors import TransientError, UserError
from assistant.mqtt.connection import (
    Session,
    device_id,
    explain,
    open_client,
)
from assistant.mqtt.credentials import read_credentials
from assistant.mqtt.discovery import Discovery
from assistant.mqtt.embedded import EMBEDDED
from assistant.mqtt.places import Place, keep, known
from assistant.mqtt.topics import Topics
from assistant.settings import MqttSettings

QUIET_S = 1.0
"""A broker that has sent no retained message for this long has sent them all."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was removed."""

    topics: tuple[str, ...]
    """In alphabetical order."""
    running: bool
    """The assistant was there meanwhile, so it will publish again."""


async def clean(
    settings: MqttSettings, site: str, state_folder: Path, *, quiet_s: float = QUIET_S
) -> Cleaned:
    """Remove every retained message of this device, also of sites that it had before.

    A site that it had before and that another assistant has now is left alone. Raises `UserError`
    for settings that reach no broker, `TransientError` for one that is away.
    """
    if settings.host == EMBEDDED:
        raise UserError("mqtt.host is embedded: that broker forgets everything with the assistant")
    topics, identity = Topics(settings.base_topic, site), device_id(state_folder)
    discovery = Discovery(topics, identity, settings.discovery_prefix)
    here = Place(topics.root, discovery.topic)
    places = {*known(state_folder), here}
    try:
        name = f"{settings.base_topic}-{site}-{identity}-clean"
        async with open_client(settings, read_credentials(settings), Session(name)) as client:
            filters = {(f"{place.root}/#", 1) for place in places}
            await client.subscribe([*filters, *{(place.config, 1) for place in places}])
            found = await _retained(client, quiet_s)
            taken = {
                place
                for place in places
                if place.root != here.root and found.get(f"{place.root}/status") == b"online"
            }
            for place in taken:
                found = _without(found, below=f"{place.root}/")
            for topic in found:
                await client.publish(topic, None, qos=1, retain=True)
    except aiomqtt.MqttError as error:
        failure = explain(error, settings)
        kind = UserError if failure.needs_a_person else TransientError
        raise kind(failure.reason) from error
    keep(state_folder, taken)
    return Cleaned(tuple(sorted(found)), found.get(topics.status) == b"online")


def _without(found: dict[str, bytes], *, below: str) -> dict[str, bytes]:
    return {topic: payload for topic, payload in found.items() if not topic.startswith(below)}


async def _retained(client: aiomqtt.Client, quiet_s: float) -> dict[str, bytes]:
    """Collect what the broker kept for the new subscription; live messages are passed over."""
    found: dict[str, bytes] = {}
    now = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(quiet_s) as patience:
            async for message in client.messages:
                if message.retain:
                    found[message.topic.value] = message.payload
                    patience.reschedule(now() + quiet_s)
    except TimeoutError:
        return found
    return found
