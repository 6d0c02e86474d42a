"""Who sees everything that the bus says."""

from collections.abc import Mapping
from typing import Any, Protocol

from assistant.mqtt.payloads import Activity, EventType, ReplyPayload


class Observer(Protocol):
    """Who sees what is said, to say it in other words."""

    def event(self, kind: EventType, turn: str | None, details: Mapping[str, Any]) -> None:
        """Something happened."""
        ...

    def reply(self, reply: ReplyPayload) -> None:
        """Something was answered, or said unasked."""
        ...

    def state(self, activity: Activity) -> None:
        """Something else goes on."""
        ...
