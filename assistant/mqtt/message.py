"""One message on its way to the broker."""

import asyncio
from dataclasses import dataclass

from assistant.mqtt.envelope import NO_ENVELOPE, Envelope
from assistant.mqtt.outbox import Parcel


@dataclass(frozen=True, slots=True)
class Message:
    """Something to publish."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    parcel_id: int | None = None
    """Its place in the outbox, which it leaves once the broker has it."""
    envelope: Envelope = NO_ENVELOPE
    """Left out where the connection is of MQTT 3.1.1."""
    done: asyncio.Future[None] | None = None
    """Told when the broker has it, or that it never will."""


def unpacked(parcel: Parcel) -> Message:
    """What waited in the outbox, ready to be sent."""
    try:
        envelope = Envelope.load(parcel.envelope, expiry_s=parcel.left_s)
    except (ValueError, TypeError, AttributeError):  # a file that was changed by others
        envelope = Envelope(parcel.left_s)
    return Message(parcel.topic, parcel.payload, parcel_id=parcel.id, envelope=envelope)
