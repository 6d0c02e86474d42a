"""The vetting of commands, without a broker."""

import json

import pytest

from assistant.clock import SystemClock
from assistant.mqtt.commands import Cancel, Listen, Say, SetMute
from assistant.mqtt.counters import Counters
from assistant.mqtt.envelope import NO_ENVELOPE, Envelope
from assistant.mqtt.inbox import Inbox
from assistant.mqtt.requests import Ask, Diagnose, ListPlugins, Request, Requester, Response
from assistant.mqtt.topics import RequestName, Topics
from assistant.settings import MqttSettings

NOW = 1_767_603_600.0


class HandClock(SystemClock):
    """A clock moved by hand."""

    seconds = 0.0

    def now(self) -> float:
        return self.seconds


class Box:
    """An inbox and what it reported."""

    def __init__(self, commands_per_s: float = 20.0) -> None:
        self.counters = Counters()
        self.clock = HandClock()
        self.reports: list[str] = []
        self.responses: list[tuple[Requester, Response]] = []
        self.inbox = Inbox(
            Topics("assistant", "kitchen"),
            self.counters,
            self.clock,
            MqttSettings(max_payload_bytes=256, commands_per_s=commands_per_s),
            report=self.reports.append,
            respond=lambda whom, response: self.responses.append((whom, response)),
            wall_time=lambda: NOW,
        )

    def take(
        self,
        name: str,
        payload: bytes,
        *,
        retained: bool = False,
        envelope: Envelope = NO_ENVELOPE,
    ) -> None:
        topic = f"assistant/kitchen/{name}"
        self.inbox.take(topic, payload, retained=retained, envelope=envelope)


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
    counters = box.counters
    assert (counters.refused_commands, counters.limited_commands) == (140, 1860)


async def test_each_topic_has_a_rate_of_its_own_and_regains_it():
    box = Box(commands_per_s=2.0)
    for _ in range(15):
        box.take("cancel", b"")
    assert box.counters.limited_commands == 5
    assert "more than 2 a second (mqtt.commands_per_s)" in box.reports[-1]
    box.take("listen", b"")
    assert box.counters.limited_commands == 5
    box.clock.seconds += 1
    for _ in range(3):
        box.take("cancel", b"")
    assert box.counters.limited_commands == 6


@pytest.mark.parametrize(
    ("name", "payload", "request_"),
    [
        ("ask", b" what time is it ", Ask(text="what time is it")),
        ("ask", b'{"text": "hi", "transaction": "a7"}', Ask(text="hi", transaction="a7")),
        ("plugins", b"", ListPlugins()),
        ("plugins", b'{"transaction": 7}', ListPlugins(transaction=7)),
        ("diagnostics", b"{}", Diagnose()),
    ],
)
async def test_understands_requests(name: str, payload: bytes, request_: Request):
    box = Box()
    box.take(f"request/{name}", payload)
    inquiry = await anext(box.inbox.requests())
    assert inquiry.request == request_
    assert inquiry.whom == Requester(request_.name, request_.transaction)
    assert (box.reports, box.responses, box.inbox.depth) == ([], [], 0)


@pytest.mark.parametrize(
    ("payload", "reason", "transaction"),
    [
        (b'{"transaction": "a7"}', "text: Field required", "a7"),
        (b'{"transaction": [1], "text": "hi"}', "transaction: expected a text or a number", None),
        (b'{"transaction": 1e999, "text": "hi"}', "transaction: expected a text or a number", None),
        (b'{"transaction": "\\ud800", "text": "hi"}', "transaction: it has a lone surrogate", None),
        (b'{"transaction": "\\ud800", "text": "\\ud800"}', "text: ", None),
        (b'{"transaction": "a8", "text": "\\ud800"}', "text: ", "a8"),
        (b"{", "begins like JSON but is not", None),
        (b'{"transaction":' * 5_000, "over 256", None),
        (b"\xff", "it is not UTF-8", None),
    ],
)
def test_a_bad_request_is_answered_with_the_reason(
    payload: bytes, reason: str, transaction: str | None
):
    box = Box()
    box.take("request/ask", payload)
    [(whom, response)] = box.responses
    assert (whom, response.status) == (Requester(RequestName.ASK, transaction), "error")
    assert reason in (response.error or "")
    assert reason in box.reports[0]
    assert json.loads(response.encode())["data"] == {}


def test_nobody_waits_for_the_answer_to_a_retained_request():
    box = Box()
    box.take("request/plugins", b"", retained=True)
    assert box.counters.refused_commands == 1
    assert box.responses == []


async def test_a_full_queue_gives_way_to_the_newest():
    box = Box()
    for number in range(70):
        box.take("say", str(number).encode())
    assert await anext(box.inbox.commands()) == Say(text="6")
    assert box.counters.dropped_commands == 6
    assert "more than 64 wait" in box.reports[0]


@pytest.mark.parametrize("name", ["say", "mute/set", "request/ask"])
async def test_what_comes_too_late_is_not_obeyed(name: str):
    box = Box()
    said = {"text": "open the door", "muted": True}
    box.take(name, json.dumps({**said, "expires_at": NOW - 1.5}).encode())
    assert (box.counters.expired_commands, box.counters.refused_commands) == (1, 1)
    assert box.inbox.depth == 0
    assert "it expired 1.5 s ago" in box.reports[0]
    box.take(name, json.dumps({**said, "expires_at": 0}).encode())
    assert (box.counters.expired_commands, box.inbox.depth) == (2, 0)
    box.take(name, json.dumps({**said, "expires_at": NOW + 1}).encode())
    assert box.inbox.depth == 1


async def test_an_answer_goes_where_the_requester_wants_it_with_its_correlation():
    box = Box()
    box.take("request/plugins", b"", envelope=Envelope(respond_to="my/own", correlation=b"7"))
    inquiry = await anext(box.inbox.requests())
    assert inquiry.whom == Requester(RequestName.PLUGINS, None, "my/own", b"7")


def test_a_refusal_goes_where_the_requester_wants_it_too():
    box = Box()
    box.take("request/ask", b"{", envelope=Envelope(respond_to="my/own", correlation=b"7"))
    [(whom, response)] = box.responses
    assert whom == Requester(RequestName.ASK, None, "my/own", b"7")
    assert response.status == "error"


@pytest.mark.parametrize(
    "topic",
    ["a/#", "+", "$SYS/x", "assistant/kitchen/say", "assistant/hall/mute/set"],
)
def test_an_answer_is_never_a_command(topic: str):
    box = Box()
    box.take("request/plugins", b"", envelope=Envelope(respond_to=topic))
    [(whom, response)] = box.responses
    assert whom.respond_to is None
    assert "name another topic" in (response.error or "")
