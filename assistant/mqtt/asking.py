"""One question to a running assistant, over its broker."""

import asyncio
import json
from secrets import token_hex
from typing import Any

import aiomqtt

from assistant.errors import TransientError, UserError
from assistant.mqtt.connection import Session, explain, open_client
from assistant.mqtt.credentials import read_credentials
from assistant.mqtt.embedded import EMBEDDED
from assistant.mqtt.topics import RequestName, Topics
from assistant.settings import MqttSettings

PATIENCE_S = 15.0
"""How long the answer may take."""


async def ask(
    settings: MqttSettings, site: str, name: RequestName, *, patience_s: float = PATIENCE_S
) -> dict[str, Any]:
    """Send a request without details and give the `data` of its response.

    Raises `UserError` for settings that reach no broker and for a request that is refused,
    `TransientError` when the broker is away or no assistant answers.
    """
    if settings.host == EMBEDDED:
        raise UserError("mqtt.host is embedded: name the broker of the running assistant (--host)")
    topics, mark = Topics(settings.base_topic, site), token_hex(6)
    session = Session(f"{settings.base_topic}-{site}-ask-{mark}")
    try:
        async with open_client(settings, read_credentials(settings), session) as client:
            await client.subscribe(topics.response(name), qos=1)
            await client.publish(topics.request(name), json.dumps({"transaction": mark}), qos=1)
            response = await _response(client, mark, patience_s)
    except aiomqtt.MqttError as error:
        failure = explain(error, settings)
        kind = UserError if failure.needs_a_person else TransientError
        raise kind(failure.reason) from error
    except TimeoutError:
        raise TransientError(f"no assistant at site {site!r} answers: is it running?") from None
    if response.get("status") != "ok":
        raise UserError(str(response.get("error")))
    data = response.get("data")
    if not isinstance(data, dict):
        raise UserError(f"what answers at site {site!r} is no assistant of this version")
    return data


async def _response(client: aiomqtt.Client, mark: str, patience_s: float) -> dict[str, Any]:
    async with asyncio.timeout(patience_s):
        async for message in client.messages:
            said = _read(message.payload)
            if said.get("transaction") == mark:
                return said
    raise TimeoutError


def _read(payload: object) -> dict[str, Any]:
    try:
        said = json.loads(payload) if isinstance(payload, bytes) else None
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
