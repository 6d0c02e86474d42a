"""What plugins may reach of the world: the daemon implements it, tests and `ask` collect it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from assistant.clock import Clock, SystemClock


class Outside(Protocol):
    """The services behind `Turn.mqtt`, `say`, `schedule` and `now`; none of them may block."""

    @property
    def clock(self) -> Clock:
        """The clock on which scheduled callbacks wait."""
        ...

    @property
    def site(self) -> str:
        """The site that is meant where a plugin names none."""
        ...

    def now(self) -> datetime:
        """Local wall-clock time, with its time zone."""
        ...

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Send one MQTT message, or keep it until the broker is back."""
        ...

    async def say(self, site: str, text: str, *, plugin: str) -> None:
        """Publish a reply at `site` that nobody asked for."""
        ...

    async def event(self, kind: str, fields: Mapping[str, Any], *, plugin: str) -> None:
        """Publish an event; kind "error" carries a `reason`."""
        ...


@dataclass
class Collector:
    """An `Outside` that only remembers, for tests and for one-shot commands."""

    clock: Clock = field(default_factory=SystemClock)
    site: str = "default"
    published: list[tuple[str, str]] = field(default_factory=list)
    """(topic, payload as text)."""
    said: list[tuple[str, str]] = field(default_factory=list)
    """(site, text)."""
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """(kind, fields); `plugin` is among the fields."""

    def now(self) -> datetime:
        """Local wall-clock time."""
        return datetime.now().astimezone()

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Remember the message."""
        del retain
        self.published.append((topic, payload.decode(errors="replace")))

    async def say(self, site: str, text: str, *, plugin: str) -> None:
        """Remember the reply."""
        del plugin
        self.said.append((site, text))

    async def event(self, kind: str, fields: Mapping[str, Any], *, plugin: str) -> None:
        """Remember the event."""
        self.events.append((kind, {"plugin": plugin, **fields}))
