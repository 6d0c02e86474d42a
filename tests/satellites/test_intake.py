"""What an engine's connection takes, and what it refuses at the door."""

import asyncio

import pytest
from aiomqtt import ProtocolVersion

from assistant.clock import SystemClock
from assistant.mqtt.envelope import Envelope
from assistant.mqtt.intake import Intake
from assistant.mqtt.rooms import MAX_SOUND_BYTES
from assistant.settings import MqttSettings
from tests.support.broker import Mosquitto
from tests.support.bus import until

TOPIC = "assistant/kitchen/utterance"


@pytest.mark.parametrize(
    ("sound", "qos", "reason"),
    [(b"x", 0, "QoS 0"), (b"x" * (MAX_SOUND_BYTES + 1), 1, "over 524288")],
)
async def test_what_would_pile_up_is_refused_at_the_door(
    broker: Mosquitto, sound: bytes, qos: int, reason: str
):
    refused: list[str] = []
    settings = MqttSettings.model_validate(broker.settings)
    intake = Intake(settings, "engine-1", "me", SystemClock(), refuse=refused.append)
    task = asyncio.create_task(intake.run())
    async with broker.client(protocol=ProtocolVersion.V5) as satellite:
        await satellite.subscribe("assistant/+/engine", qos=1)
        await until(satellite, b"online")
        about = Envelope(user=(("turn", "t1"),)).properties()
        for _ in range(20):
            await satellite.publish(TOPIC, sound, qos, properties=about)
        await satellite.publish(TOPIC, b"fit", 1, properties=about)
        delivery = await asyncio.wait_for(anext(intake.deliveries()), 5)
        assert delivery.sound == b"fit"
        assert intake.refused == len(refused) == 20
        assert all(reason in line for line in refused)
    task.cancel()
    await asyncio.wait([task])
