"""The shape of what is published."""

import json
from enum import Enum

import pytest

from assistant.described import schema_of
from assistant.errors import UserError
from assistant.mqtt.payloads import (
    Activity,
    EventPayload,
    EventType,
    InfoPayload,
    ReplyPayload,
    StatePayload,
)
from assistant.mqtt.topics import CommandName, RequestName, Topics
from assistant.settings import load
from assistant.turn import EndReason, Reply, Timings, Turn


class Room(Enum):
    KITCHEN = "kitchen"


def test_a_reply_says_everything_about_its_turn():
    turn = Turn(
        id="t1",
        site="kitchen",
        transcript="light on",
        confidence=0.75,
        intent="LightOn",
        slots={"room": Room.KITCHEN, "who": object},
    )
    timings = Timings(endpoint=1, encode=2, decode=3, handle=4, total=9)
    reply = Reply(turn, "It is on.", EndReason.SILENCE, passes=5, timings=timings)
    payload = json.loads(ReplyPayload.of(reply, seq=2, final=False).encode())
    assert payload.pop("slots") == {"room": "kitchen", "who": "<class 'object'>"}
    assert payload == {
        "v": 1,
        "turn": "t1",
        "site": "kitchen",
        "seq": 2,
        "text": "It is on.",
        "final": False,
        "transcript": "light on",
        "intent": "LightOn",
        "confidence": 0.75,
        "end_reason": "silence",
        "passes": 5,
        "timings_ms": {
            "endpoint": 1.0,
            "encode": 2.0,
            "decode": 3.0,
            "handle": 4.0,
            "total": 9.0,
        },
    }


def test_an_event_carries_its_details_flat_and_nothing_empty():
    event = EventPayload(event_type=EventType.INTENT, site="kitchen", at=5.0, intent="LightOn")
    assert json.loads(event.encode()) == {
        "v": 1,
        "event_type": "intent",
        "site": "kitchen",
        "at": 5.0,
        "intent": "LightOn",
    }


def test_states_are_home_assistants_words():
    assert {*Activity} == {"idle", "listening", "processing", "responding"}
    assert json.loads(StatePayload(since=5.0).encode()) == {
        "v": 1,
        "state": "idle",
        "turn": None,
        "since": 5.0,
        "muted": False,
    }


def test_every_payload_has_a_documented_schema():
    schema = schema_of(InfoPayload)
    assert schema["properties"]["v"]["const"] == 1
    assert schema["properties"]["config_hash"]["description"].startswith("Changes when")


def test_topics_follow_the_layout():
    topics = Topics("assistant", "kitchen")
    assert topics.status == "assistant/kitchen/status"
    assert topics.response(RequestName.ASK) == "assistant/kitchen/response/ask"
    assert [*topics.incoming] == [
        "assistant/kitchen/say",
        "assistant/kitchen/listen",
        "assistant/kitchen/cancel",
        "assistant/kitchen/mute/set",
        "assistant/kitchen/threshold/set",
        "assistant/kitchen/preset/set",
        "assistant/kitchen/model/set",
        "assistant/kitchen/request/ask",
        "assistant/kitchen/request/plugins",
        "assistant/kitchen/request/reload",
        "assistant/kitchen/request/setting",
        "assistant/kitchen/request/diagnostics",
    ]


@pytest.mark.parametrize(
    ("topic", "name"),
    [
        ("assistant/kitchen/say", CommandName.SAY),
        ("assistant/kitchen/mute/set", CommandName.MUTE),
        ("assistant/kitchen/request/ask", RequestName.ASK),
        ("assistant/kitchen/ask", None),
        ("assistant/kitchen/response/ask", None),
        ("assistant/kitchen/mute", None),
        ("assistant/kitchen/", None),
        ("assistant/kitchen2/say", None),
        ("x/assistant/kitchen/say", None),
        ("assistant/kitchen/assistant/kitchen/say", None),
    ],
)
def test_parses_only_what_its_own_site_is_asked(topic: str, name: CommandName | RequestName | None):
    assert Topics("assistant", "kitchen").parse(topic) is name


@pytest.mark.parametrize("name", ["a/b", "#", "+", "kit chen", "küche", "$SYS", "a\0", "x" * 65])
def test_the_settings_refuse_a_site_that_is_no_topic_level(name: str):
    with pytest.raises(UserError, match="site"):
        load(overrides={"site": name})
    with pytest.raises(UserError, match=r"mqtt\.base_topic"):
        load(overrides={"mqtt": {"base_topic": name}})
