"""What plugins reach through the running daemon: its broker, its voice, its clock."""

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from assistant.clock import Clock
from assistant.dialogue import Dialogue
from assistant.mqtt.bus import Bus
from assistant.mqtt.payloads import EventType
from assistant.outside import Model, NoModel
from assistant.web import Http, HttpClient


class Outdoors:
    """The daemon's `assistant.outside.Outside`."""

    def __init__(
        self,
        bus: Bus,
        dialogue: Dialogue,
        *,
        site: str,
        clock: Clock,
        wall_time: Callable[[], float] = time.time,
        serves_others: bool = False,
        model: Model | None = None,
    ) -> None:
        """`wall_time` gives seconds since 1970; an engine of satellites `serves_others`."""
        self.site, self.clock = site, clock
        self._serves_others = serves_others
        self.http: Http = HttpClient()
        self.model: Model = model or NoModel()
        self._bus, self._dialogue, self._wall_time = bus, dialogue, wall_time

    def now(self) -> datetime:
        """Local wall-clock time."""
        return datetime.fromtimestamp(self._wall_time(), UTC).astimezone()

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Send one message; raises `TransientError` while the broker is away."""
        await self._bus.publish(topic, payload, retain=retain)

    async def say(self, site: str, text: str, *, plugin: str) -> None:
        """Publish a reply that nobody asked for.

        Raises `ValueError` for a site not served here, `UserError` for what cannot be a site.
        """
        if site != self.site and self._serves_others:
            self._bus.say_at(site, text)
            return
        if site != self.site:
            raise ValueError(
                f"{plugin} cannot speak at {site!r}: this assistant is at {self.site!r}"
            )
        self._dialogue.say(text)

    async def event(self, kind: str, fields: Mapping[str, Any], *, plugin: str) -> None:
        """Publish an event; one of kind `error` as the daemon's own errors are."""
        details = json.loads(json.dumps(dict(fields), default=str))
        if kind == "error":
            self._bus.event(EventType.ERROR, plugin=plugin, message=details.get("reason", ""))
        else:
            self._bus.event(EventType.PLUGIN, plugin=plugin, name=kind, data=details)
