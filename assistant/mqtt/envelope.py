"""What MQTT 5 can say around a payload; a connection of MQTT 3.1.1 leaves all of it out."""

import json
import math
from dataclasses import asdict, dataclass
from typing import Any, Self

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from assistant.mqtt.payloads import VERSION

JSON = "application/json"
_LONGEST_EXPIRY_S = 2**32 - 1
_UTF8 = 1
"""The payload format indicator of text."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """How long a message is worth something, what it is, and where its answer belongs."""

    expiry_s: float | None = None
    """Whoever has not got the message after so long never will; None for no limit."""
    content_type: str | None = None
    user: tuple[tuple[str, str], ...] = ()
    """Names and values, `schema` and `turn` among them."""
    respond_to: str | None = None
    """The topic on which an answer is awaited."""
    correlation: bytes | None = None
    """What the answer repeats, so that it can be told whose it is."""

    @classmethod
    def of_json(
        cls, schema: str, turn: str | None = None, *, expiry_s: float | None = None
    ) -> Self:
        """Describe a JSON payload by the name of its schema and by its turn."""
        told = (("schema", f"{schema}/{VERSION}"), *((("turn", turn),) if turn else ()))
        return cls(expiry_s, JSON, told)

    @classmethod
    def of_properties(cls, properties: Properties | None) -> Self:
        """Read what came with a message; empty for MQTT 3.1.1."""
        found: dict[str, Any] = vars(properties) if properties is not None else {}
        return cls(
            expiry_s=found.get("MessageExpiryInterval"),
            content_type=found.get("ContentType"),
            user=tuple(found.get("UserProperty", ())),
            respond_to=found.get("ResponseTopic"),
            correlation=found.get("CorrelationData"),
        )

    def properties(self) -> Any:
        """Say it in the terms of MQTT 5."""
        told = new_properties(PacketTypes.PUBLISH)
        if self.expiry_s is not None:
            told.MessageExpiryInterval = max(1, math.ceil(min(self.expiry_s, _LONGEST_EXPIRY_S)))
        if self.content_type is not None:
            told.ContentType = self.content_type
            if self.content_type == JSON:
                told.PayloadFormatIndicator = _UTF8
        if self.user:
            told.UserProperty = list(self.user)
        if self.respond_to is not None:
            told.ResponseTopic = self.respond_to
        if self.correlation is not None:
            told.CorrelationData = self.correlation
        return told

    def get(self, name: str) -> str | None:
        """Find the user property of this name, the first when there are several."""
        return next((value for key, value in self.user if key == name), None)

    def dump(self) -> str:
        """Write it down, its expiry left out: that goes on while it waits."""
        kept = {name: value for name, value in asdict(self).items() if value}
        kept.pop("expiry_s", None)
        if self.correlation:
            kept["correlation"] = self.correlation.hex()
        return json.dumps(kept) if kept else ""

    @classmethod
    def load(cls, text: str, *, expiry_s: float | None) -> Self:
        """Read what `dump` wrote; raises `ValueError` for anything else."""
        kept: dict[str, Any] = json.loads(text) if text else {}
        correlation = kept.get("correlation")
        return cls(
            expiry_s=expiry_s,
            content_type=kept.get("content_type"),
            user=tuple((str(name), str(value)) for name, value in kept.get("user", ())),
            respond_to=kept.get("respond_to"),
            correlation=bytes.fromhex(correlation) if correlation else None,
        )


NO_ENVELOPE = Envelope()
"""Nothing is known, or said."""


def new_properties(packet: int) -> Any:
    """Give an empty set of properties for a kind of packet; paho's has no types."""
    make: Any = Properties
    return make(packet)
