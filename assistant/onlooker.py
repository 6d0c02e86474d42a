"""A subscriber that prints what a smart-home hub would see."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from assistant.audio.source import FRAME_SAMPLES, FileSource, Frame
from assistant.clock import Clock
from assistant.settings import MqttSettings, Settings

_STYLES = {
    "status": "dim", "state": "cyan", "event": "magenta", "partial": "dim italic",
    "reply": "bold green", "info": "dim", "mute": "dim",
}  # fmt: skip
_PLAYING_GAP_S = 1.6


class Playlist(FileSource):
    """Recordings one after the other, begun only when somebody watches; then, perhaps, silence."""

    def __init__(self, paths: Sequence[Path], clock: Clock, *, endless: bool) -> None:
        super().__init__(paths, clock, gap_s=_PLAYING_GAP_S)
        self.wait_for: asyncio.Event | None = None
        self._endless = endless

    async def frames(self) -> AsyncIterator[Frame]:
        """The recordings' frames, in real time."""
        yield Frame(np.zeros(FRAME_SAMPLES, np.int16), self._clock.now())
        if self.wait_for is not None:
            await self.wait_for.wait()
        async for frame in super().frames():
            yield frame
        while self._endless:
            await self._clock.sleep(0.01)
            yield Frame(np.zeros(FRAME_SAMPLES, np.int16), self._clock.now())


@dataclass
class Onlooker:
    """Watches every topic of the broker and keeps score."""

    settings: Settings
    playlist: FileSource
    console: Console = field(default_factory=Console)
    watching: asyncio.Event = field(default_factory=asyncio.Event)
    replies: list[dict[str, Any]] = field(default_factory=list)

    @property
    def unanswered(self) -> int:
        """Recordings without a reply."""
        return max(0, len(self.settings.audio.files) - len(self.replies))

    async def watch(self, broker: Callable[[], Awaitable[MqttSettings]]) -> None:
        """Print every message until cancelled; the broker may have to start first."""
        reach = await broker()
        topic = f"{reach.host}:{reach.port}"
        self.console.print(
            f"[bold]broker[/bold] {topic}   [dim]mosquitto_sub -p {reach.port} -t '#' -v[/dim]"
        )
        async with aiomqtt.Client(reach.host, reach.port or 1883) as client:
            await client.subscribe("#", qos=1)
            self.watching.set()
            async for message in client.messages:
                self._show(message.topic.value, bytes(message.payload or b""))

    def _show(self, topic: str, payload: bytes) -> None:
        prefix = f"{self.settings.mqtt.base_topic}/{self.settings.site}/"
        name = topic.removeprefix(prefix)
        if name == topic:
            self._line(topic, payload.decode(errors="replace"), "yellow")
            return
        body = _parse(payload)
        if name == "reply":
            self.replies.append(body)
        if name == "event" and body.get("event_type") == "speech_start":
            self.console.print(Text(f"\n♪ {self.playlist.describe()}", style="bold"))
        self._line(name, _describe(name, body), _STYLES.get(name, ""))

    def _line(self, name: str, text: str, style: str) -> None:
        self.console.print(Text(f"  {name:<8} ", style="dim") + Text(text, style=style))

    def summarise(self) -> None:
        """A table of everything that was heard and answered."""
        if not self.replies:
            return
        table = Table(title="What was heard, and what was answered", title_justify="left")
        for heading in ("heard", "intent", "reply"):
            table.add_column(heading, overflow="fold")
        for heading in ("passes", "encode", "decode", "total"):
            table.add_column(heading, justify="right")
        for reply in self.replies:
            times = (
                f"{reply['timings_ms'][stage]:.0f} ms" for stage in ("encode", "decode", "total")
            )
            table.add_row(
                reply["transcript"],
                reply["intent"] or "",
                reply["text"],
                str(reply["passes"]),
                *times,
            )
        self.console.print()
        self.console.print(table)
        note = "total: from the confirmed end of speech to the published reply"
        self.console.print(Text(note, style="dim"))


def _parse(payload: bytes) -> dict[str, Any]:
    try:
        body = json.loads(payload)
    except ValueError:
        body = payload.decode(errors="replace")
    return body if isinstance(body, dict) else {"value": body}


def _describe(name: str, body: dict[str, Any]) -> str:
    match name:
        case "state":
            return str(body["state"])
        case "partial":
            return f"“{body['text']}…”"
        case "reply":
            timings = body["timings_ms"]
            stages = ", ".join(f"{stage} {timings[stage]:.0f}" for stage in timings)
            return f"{body['text']}   ({stages} ms; {body['passes']} passes)"
        case "event":
            hidden = {"v", "event_type", "site", "at", "turn"}
            details = "  ".join(f"{k}={v}" for k, v in body.items() if k not in hidden)
            return f"{body['event_type']}  {details}"
        case "info":
            return f"{body['lifecycle']}  model={body['model']}  microphone={body['microphone']}"
        case _:
            return str(body.get("value", body))
