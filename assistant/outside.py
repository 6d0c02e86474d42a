"""What plugins may reach of the world: the daemon implements it, tests and `ask` collect it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from assistant.clock import Clock, SystemClock
from assistant.web import Http, HttpClient


class Model(Protocol):
    """The language model, as far as plugins reach it."""

    async def ask(self, text: str) -> str:
        """Answer words; raises `ValueError` where the model answers only what it hears."""
        ...

    async def fill(self, turn_id: str, template: str) -> str:
        """Fill the gaps of `template` from the sound of a turn; raises `ValueError` without it."""
        ...


class NoModel:
    """Where there is none."""

    async def ask(self, text: str) -> str:
        """Refuse."""
        raise ValueError(f"no model answers text here: {text[:80]!r}")

    async def fill(self, turn_id: str, template: str) -> str:
        """Refuse."""
        raise ValueError(f"no model heard turn {turn_id}: {template[:80]!r} stays as it is")


class Outside(Protocol):
    """The services behind `Turn.mqtt`, `say`, `schedule` and `now`; none of them may block."""

    @property
    def http(self) -> Http:
        """The way to web servers."""
        ...

    @property
    def model(self) -> Model:
        """The language model."""
        ...

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
    http: Http = field(default_factory=HttpClient)
    model: Model = field(default_factory=NoModel)
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
