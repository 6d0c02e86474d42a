"""A subscriber that prints what a smart-home hub would see, and keeps score."""

import asyncio
import json
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from assistant.audio.source import BATCH_FRAMES, FRAME_S, FRAME_SAMPLES, FileSource, Frame
from assistant.clock import Clock
from assistant.settings import MqttSettings, Settings

GAP_S = 1.6
"""Silence after each recording: longer than what ends an utterance."""
LAST_REPLY_S = 10.0
"""How long the last recording's reply is waited for."""
_WIDEST = 99
_STYLES = {
    "state": "cyan",
    "event": "magenta",
    "partial": "italic dim",
    "reply": "bold green",
    "home": "yellow",
}
_STAGES = ("encode", "decode", "handle", "total")


class Playlist(FileSource):
    """Recordings one after the other, begun only when somebody watches; then, perhaps, silence."""

    def __init__(self, paths: Sequence[Path], clock: Clock, *, endless: bool) -> None:
        super().__init__(paths, clock, gap_s=GAP_S)
        self.watched = asyncio.Event()
        """Set by whoever watches; nothing is played before."""
        self.played = asyncio.Event()
        """Set once the last recording was played."""
        self._names = [path.name for path in paths]
        self._endless = endless

    def describe(self) -> str:
        """How much there is to hear."""
        return f"{len(self._names)} recordings"

    @property
    def playing(self) -> str:
        """The name of the recording that is heard now."""
        return self._playing

    async def frames(self) -> AsyncIterator[Frame]:
        """The recordings' frames, in real time."""
        yield self._silence()
        await self.watched.wait()
        async for frame in super().frames():
            yield frame
        self.played.set()
        while self._endless:
            await self._clock.sleep(BATCH_FRAMES * FRAME_S)
            for _ in range(BATCH_FRAMES):
                yield self._silence()

    def _silence(self) -> Frame:
        return Frame(np.zeros(FRAME_SAMPLES, np.int16), self._clock.now())


@dataclass
class Onlooker:
    """Watches every topic of the broker."""

    settings: Settings
    playlist: Playlist
    clock: Clock
    console: Console = field(default_factory=lambda: Console(highlight=False))
    replies: list[dict[str, Any]] = field(default_factory=list)
    """Replies to recordings, in order."""
    _recordings: dict[str, str] = field(default_factory=dict)
    """Which recording each turn heard."""
    _all_answered: asyncio.Event = field(default_factory=asyncio.Event)
    _began: float = 0.0

    @property
    def unanswered(self) -> list[str]:
        """Names of recordings without a reply."""
        answered = {self._recordings.get(reply["turn"]) for reply in self.replies}
        return [path.name for path in self.settings.audio.files if path.name not in answered]

    async def watch(self, broker: Callable[[], Awaitable[MqttSettings]]) -> None:
        """Print every message until cancelled; the broker may have to start first."""
        reach = await broker()
        self._began = self.clock.now()
        topics = f"{self.settings.mqtt.base_topic}/{self.settings.site}/#"
        mosquitto = f"mosquitto_sub -h {reach.host} -p {reach.port} -t '{topics}' -v"
        self.console.print(Text.assemble("Watch along:  ", (mosquitto, "bold")), soft_wrap=True)
        async with aiomqtt.Client(reach.host, reach.port or 1883) as client:
            await client.subscribe("#", qos=1)
            async for message in client.messages:
                self._see(message.topic.value, bytes(message.payload or b""))

    async def until_answered(self) -> None:
        """Wait until everything was played and answered, or it is clear that it will not be."""
        await self.playlist.played.wait()
        try:
            async with asyncio.timeout(LAST_REPLY_S):
                await self._all_answered.wait()
        except TimeoutError:
            return

    def _see(self, topic: str, payload: bytes) -> None:
        """Anybody may publish on this broker, so nothing is taken for granted."""
        root = f"{self.settings.mqtt.base_topic}/{self.settings.site}/"
        name, body = topic.removeprefix(root), _parse(payload)
        if name == topic:
            self._line(topic, payload.decode(errors="replace"), _STYLES["home"])
            return
        try:
            self._keep_score(name, body)
            text, stages = _describe(name, body), _stages(body) if name == "reply" else ""
        except (KeyError, TypeError, ValueError, AttributeError):
            text, stages = payload.decode(errors="replace"), ""
        self._line(name, text, _STYLES.get(name, "dim"))
        if stages:
            self._line("", stages, "dim")

    def _keep_score(self, name: str, body: Mapping[str, Any]) -> None:
        if name == "info" and body["lifecycle"] == "ready":
            self.playlist.watched.set()
        if name == "event" and body["event_type"] == "speech_start":
            self._recordings[body["turn"]] = self.playlist.playing
            self.console.print(Text(f"\n♪ {self.playlist.playing}", style="bold"))
        if name == "reply" and body["turn"] in self._recordings:
            self.replies.append({**body, "timings_ms": dict(body["timings_ms"])})
            if not self.unanswered:
                self._all_answered.set()

    def _line(self, name: str, text: str, style: str) -> None:
        """One message on one line, however narrow the terminal is."""
        at = Text(f"{self.clock.now() - self._began:7.2f} s  ", style="dim")
        line = at + Text(f"{name:<9} ") + Text(text.replace("\n", " "), style=style)
        line.truncate(min(self.console.width, _WIDEST), overflow="ellipsis")
        self.console.print(line, no_wrap=True, soft_wrap=True)

    def summarise(self) -> None:
        """A table of everything that was heard and answered."""
        if not self.replies:
            return
        width = min(self.console.width, _WIDEST)
        title = "\nWhat was heard, and what was answered (times in ms)"
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.add_column("heard", overflow="fold", ratio=1)
        table.add_column("intent", overflow="ellipsis", no_wrap=True, max_width=20)
        table.add_column("reply", overflow="fold", ratio=1)
        for heading in ("passes", "encode", "decode", "total"):
            table.add_column(heading, justify="right")
        for reply in self.replies:
            times = (f"{reply['timings_ms'][stage]:.0f}" for stage in ("encode", "decode", "total"))
            cells = (reply["transcript"], reply["intent"] or "the model", reply["text"])
            table.add_row(*map(Text, cells), str(reply["passes"]), *times)
        self.console.print(table, width=width)
        totals = [reply["timings_ms"]["total"] for reply in self.replies]
        count = len(self.settings.audio.files)
        self.console.print(
            f"{count - len(self.unanswered)} of {count} recordings answered; from the end of "
            f"speech to the reply {statistics.median(totals):.0f} ms (median), "
            f"{max(totals):.0f} ms (longest)",
            width=width,
        )


def _parse(payload: bytes) -> dict[str, Any]:
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError):
        body = payload.decode(errors="replace")
    return body if isinstance(body, dict) else {"value": body}


def _describe(name: str, body: Mapping[str, Any]) -> str:
    match name:
        case "state":
            return str(body["state"]) + (", muted" if body["muted"] else "")
        case "partial":
            return f"“{body['text']} …”"
        case "reply":
            return str(body["text"])
        case "event":
            hidden = {"v", "event_type", "site", "at", "turn"}
            details = (f"{key}={_plain(value)}" for key, value in body.items() if key not in hidden)
            return f"{body['event_type']:<13} {'  '.join(details)}"
        case "info":
            whom = f": {body['model']} hears {body['microphone']}"
            return f"{body['lifecycle']}{whom if body['lifecycle'] == 'ready' else ''}"
        case _:
            return str(body.get("value", body))


def _stages(reply: Mapping[str, Any]) -> str:
    """How long each stage of a recording's reply took; nothing for what was said unasked."""
    timings = reply.get("timings_ms")
    if not isinstance(timings, dict) or not reply.get("passes"):
        return ""
    times = ", ".join(f"{stage} {timings[stage]:.0f}" for stage in _STAGES if stage in timings)
    return f"{times} ms; {reply['passes']} passes"


def _plain(value: Any) -> str:
    """A value without JSON's quotes and braces."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_plain(each)}" for key, each in value.items()) + "}"
    return str(value)
