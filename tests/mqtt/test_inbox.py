"""The vetting of commands, without a broker."""

import pytest

from assistant.clock import SystemClock
from assistant.mqtt.commands import Cancel, Listen, Say, SetMute
from assistant.mqtt.counters import Counters
from assistant.mqtt.inbox import Inbox
from assistant.mqtt.topics import Topics


class HandClock(SystemClock):
    """A clock moved by hand."""

    seconds = 0.0

    def now(self) -> float:
        return self.seconds


class Box:
    """An inbox and what it reported."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.clock = HandClock()
        self.reports: list[str] = []
        self.inbox = Inbox(
            Topics("assistant", "kitchen"),
            self.counters,
            self.clock,
            max_payload_bytes=256,
            report=self.reports.append,
        )

    def take(self, name: str, payload: bytes, *, retained: bool = False) -> None:
        self.inbox.take(f"assistant/kitchen/{name}", payload, retained=retained)


@pytest.mark.parametrize(
    ("name", "payload", "command"),
    [
        ("say", b"  hello ", Say(text="hello")),
        ("say", b"[1, 2]", Say(text="[1, 2]")),
        ("say", b'{"v": 1, "text": "hi", "new_field": 1}', Say(text="hi")),
        ("listen", b"{}", Listen()),
        ("cancel", b"", Cancel()),
        ("mute/set", b"on", SetMute(muted=True)),
        ("mute/set", b"False", SetMute(muted=False)),
        ("mute/set", b'{"muted": false}', SetMute(muted=False)),
    ],
)
async def test_understands(name: str, payload: bytes, command: object):
    box = Box()
    box.take(name, payload)
    assert await anext(box.inbox.commands()) == command
    assert box.reports == []


def test_passes_over_topics_that_are_no_commands():
    box = Box()
    box.take("status", b"online", retained=True)
    box.take("say/more", b"x")
    box.inbox.take("assistant/cellar/say", b"x", retained=False)
    assert box.counters == Counters()


def test_counts_a_flood_in_full_but_reports_it_once_a_second():
    box = Box()
    for _ in range(1000):
        box.take("say", b"\xff")
    assert len(box.reports) == 20
    box.clock.seconds += 2
    for _ in range(1000):
        box.take("say", b"\xff")
    assert len(box.reports) == 22
    assert box.counters.refused_commands == 2000


async def test_a_full_queue_gives_way_to_the_newest():
    box = Box()
    for number in range(70):
        box.take("say", str(number).encode())
    assert await anext(box.inbox.commands()) == Say(text="6")
    assert box.counters.dropped_commands == 6
    assert "more than 64 wait" in box.reports[0]
