"""How far a plugin reaches: what it may publish, and where."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assistant.outside import Outside
from assistant.stage import WORK

MAX_PAYLOAD_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Allowance:
    """The topics of one plugin."""

    plugin: str
    filters: tuple[str, ...] | None = None
    """MQTT filters of what it may publish on; None for everything but what is reserved."""
    reserved: tuple[str, ...] = ()
    """Filters of the assistant's own topics."""

    def refusal(self, topic: str) -> str | None:
        """Say why `topic` is not allowed, if it is not."""
        if self.filters is None:
            taken = next((each for each in self.reserved if covers(each, topic)), None)
            if taken is None and not topic.startswith("$"):
                return None
            why = f"{taken or '$…'} is not a plugin's to publish on"
        elif any(covers(each, topic) for each in self.filters):
            return None
        else:
            why = f"it may publish on {', '.join(self.filters) or 'nothing'}"
        change = f"Plugin(..., topics=[...]) or plugins.topics.{self.plugin} in the settings"
        return f"{self.plugin} did not publish on {topic[:200]!r}: {why}; to allow it: {change}"


def covers(pattern: str, topic: str) -> bool:
    """Whether the MQTT filter `pattern` takes `topic`."""
    levels, parts = pattern.split("/"), topic.split("/")
    for index, level in enumerate(levels):
        if level == "#":
            return len(parts) >= index
        if index >= len(parts) or level not in ("+", parts[index]):
            return False
    return len(levels) == len(parts)


def check_filters(filters: Sequence[str]) -> tuple[str, ...]:
    """Return them; raises `ValueError` for one that is no MQTT filter."""
    if isinstance(filters, str):
        raise ValueError(f"topics are a list: [{filters!r}]")  # noqa: TRY004 - told like the others
    for each in filters:
        levels = each.split("/")
        wild = any(len(level) > 1 and set(level) & set("+#") for level in levels)
        if not each or wild or "#" in levels[:-1] or "\0" in each:
            raise ValueError(f"topics: {each!r} is no MQTT filter")
    return tuple(filters)


@dataclass(frozen=True, slots=True)
class PluginMqtt:
    """The `Mqtt` of one plugin."""

    outside: Outside
    allowance: Allowance

    async def publish(
        self, topic: str, payload: str | bytes | Mapping[str, Any], *, retain: bool = False
    ) -> None:
        """Send one message, if the plugin may."""
        if not topic or any(char in topic for char in "+#\0"):
            raise ValueError(f"{topic!r} is not a topic to publish on")
        if refusal := self.allowance.refusal(topic):
            if work := WORK.get():
                work.refused.append(refusal)
            raise PermissionError(refusal)
        if isinstance(payload, Mapping):
            payload = json.dumps(payload)
        data = payload.encode() if isinstance(payload, str) else bytes(payload)
        if len(data) > MAX_PAYLOAD_BYTES:
            raise ValueError(f"{len(data)} bytes for {topic!r}, the limit is {MAX_PAYLOAD_BYTES}")
        await self.outside.publish(topic, data, retain=retain)
