"""What an engine's connection takes, and what it refuses at the door."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest
from aiomqtt import ProtocolVersion

from assistant.clock import SystemClock
from assistant.errors import TransientError
from assistant.mqtt.envelope import Envelope
from assistant.mqtt.intake import Intake
from assistant.mqtt.rooms import MAX_SOUND_BYTES, AnswerKind, AnswerPayload
from assistant.settings import MqttSettings
from tests.support.broker import Mosquitto
from tests.support.bus import until

TOPIC = "assistant/kitchen/utterance"


@asynccontextmanager
async def serving(
    broker: Mosquitto, refuse: Callable[[str], None]
) -> AsyncIterator[tuple[aiomqtt.Client, Intake]]:
    """A satellite and the intake of an engine, which is there."""
    settings = MqttSettings.model_validate(broker.settings)
    intake = Intake(settings, "engine-1", "me", SystemClock(), refuse=refuse)
    task = asyncio.create_task(intake.run())
    async with broker.client(protocol=ProtocolVersion.V5) as satellite:
        await satellite.subscribe("assistant/+/engine", qos=1)
        await until(satellite, b"online")
        yield satellite, intake
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize(
    ("sound", "qos", "reason"),
    [(b"x", 0, "QoS 0"), (b"x" * (MAX_SOUND_BYTES + 1), 1, "over 524288")],
)
async def test_what_would_pile_up_is_refused_at_the_door(
    broker: Mosquitto, sound: bytes, qos: int, reason: str
):
    refused: list[str] = []
    async with serving(broker, refused.append) as (satellite, intake):
        about = Envelope(user=(("turn", "t1"),)).properties()
        for _ in range(20):
            await satellite.publish(TOPIC, sound, qos, properties=about)
        await satellite.publish(TOPIC, b"fit", 1, properties=about)
        delivery = await asyncio.wait_for(anext(intake.deliveries()), 5)
        assert delivery.sound == b"fit"
        assert intake.refused == len(refused) == 20
        assert all(reason in line for line in refused)


async def test_an_answer_that_the_broker_throws_away_is_not_told(tmp_path: Path):
    acl = "topic readwrite assistant/engine-1/#\ntopic read assistant/#"
    answer = AnswerPayload(turn="t1", engine="engine-1", kind=AnswerKind.NOTHING)
    with Mosquitto(tmp_path / "broker", acl=acl) as broker:
        async with serving(broker, print) as (_, intake):
            with pytest.raises(TransientError, match="check its access list"):
                await intake.answer("kitchen", answer)
