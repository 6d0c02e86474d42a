"""An utterance's way to an engine and back, with everything that can go wrong on it."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from assistant.errors import UserError
from assistant.herald import SilentHerald
from assistant.mqtt.topics import Topics
from assistant.satellites.daemon import Satellite
from assistant.satellites.dispatch import MOST_ENGINES, MOST_TRIES, TAKE_S, About, Asked, Dispatch
from assistant.settings import SatelliteSettings, Settings
from assistant.turn import EndReason
from tests.audio.support import FakeClock, settle

PATIENCE_S = 20.0


@dataclass
class FakeBus:
    """Keeps what is posted, and hands over what comes in."""

    topics: Topics = field(default_factory=lambda: Topics("assistant", "kitchen"))
    connected: bool = True
    posted: list[str] = field(default_factory=list)
    addressees: list[str] = field(default_factory=list)
    """The one engine that each was posted to; empty for any."""
    answers: list[str | None] = field(default_factory=list)
    intents: list[str | None] = field(default_factory=list)
    hearers: dict[str, Callable[[Any], None]] = field(default_factory=dict)

    def listen(self, topic: str, hear: Callable[[Any], None]) -> None:
        self.hearers[topic] = hear

    def post(self, topic: str, payload: bytes, envelope: Any) -> None:
        root, _, engine = topic.partition("/utterance")
        assert root == "assistant/kitchen"
        assert envelope.respond_to == "assistant/kitchen/answer"
        self.posted.append(envelope.get("turn"))
        self.addressees.append(engine.removeprefix("/"))
        self.answers.append(envelope.get("answers"))
        self.intents.append(envelope.get("intents"))


class Stage:
    """A dispatch, an utterance on its way, and engines played by hand."""

    def __init__(self) -> None:
        self.bus, self.clock = FakeBus(), FakeClock()
        bus: Any = self.bus
        settings = SatelliteSettings(patience_s=PATIENCE_S)
        self.dispatch = Dispatch(bus, settings, self.clock)

    def ask(self, turn: str = "t1", **more: Any) -> asyncio.Task[Any]:
        about = About(turn, EndReason.SILENCE, **more)
        return asyncio.create_task(self.dispatch.ask(about, b"sound"))

    def engine(self, name: str, status: str, *, retain: bool = False) -> None:
        topic = SimpleNamespace(value=f"assistant/{name}/engine")
        message = SimpleNamespace(topic=topic, payload=status.encode(), retain=retain)
        self.bus.hearers["assistant/+/engine"](message)

    def hear(self, payload: bytes, *, retain: bool = False) -> None:
        topic = SimpleNamespace(value="assistant/kitchen/answer")
        message = SimpleNamespace(topic=topic, payload=payload, retain=retain)
        self.bus.hearers["assistant/kitchen/answer"](message)

    def say(self, kind: str, turn: str = "t1", engine: str = "e1", **more: Any) -> None:
        told = {"v": 1, "turn": turn, "engine": engine, "kind": kind, **more}
        self.hear(json.dumps(told).encode())


def reply(turn: str = "t1", site: str = "kitchen") -> dict[str, Any]:
    return {
        "v": 1, "turn": turn, "site": site, "seq": 0, "text": "It is nine.", "final": True,
        "transcript": "what time is it", "intent": "clock.time", "slots": {}, "confidence": 0.9,
        "end_reason": "silence", "passes": 3, "timings_ms": {"total": 50.0},
    }  # fmt: skip


async def test_the_first_answer_counts_and_later_ones_are_counted():
    stage = Stage()
    asked = stage.ask()
    await settle()
    stage.say("taken")
    stage.say("reply", reply=reply())
    stage.say("reply", engine="e2", reply=reply())
    answer = await asked
    stage.say("reply", engine="e3", reply=reply())
    assert (answer.engine, answer.reply.text) == ("e1", "It is nine.")
    assert (stage.dispatch.duplicates, stage.dispatch.resent) == (2, 0)


async def test_an_engine_that_dies_costs_a_second_sending():
    stage = Stage()
    stage.engine("e1", "online", retain=True)
    asked = stage.ask()
    await settle()
    stage.say("taken")
    stage.engine("e2", "offline")
    assert stage.bus.posted == ["t1"]
    stage.engine("e1", "offline")
    assert stage.bus.posted == ["t1", "t1"]
    stage.say("nothing", engine="e2")
    assert (await asked).engine == "e2"


async def test_what_nobody_takes_is_sent_again_ever_more_rarely():
    stage = Stage()
    stage.engine("e1", "online", retain=True)
    asked = stage.ask()
    await stage.clock.advance(TAKE_S + 0.6)
    assert len(stage.bus.posted) == 2
    await stage.clock.advance(TAKE_S)
    assert len(stage.bus.posted) == 2
    await stage.clock.advance(PATIENCE_S)
    assert await asked is None
    assert len(stage.bus.posted) == 4
    assert "no answer within 20 s" in stage.dispatch.why_unanswered()


async def test_an_engine_that_takes_too_long_gets_a_rival():
    stage = Stage()
    stage.engine("e1", "online", retain=True)
    asked = stage.ask()
    await settle()
    stage.say("taken")
    await stage.clock.advance(PATIENCE_S / 2 + 0.6)
    assert stage.bus.posted == ["t1", "t1"]
    stage.say("taken", engine="e2")
    stage.say("reply", engine="e2", reply=reply())
    assert (await asked).engine == "e2"


async def test_without_engines_it_waits_for_one_to_come():
    stage = Stage()
    asked = stage.ask()
    await stage.clock.advance(TAKE_S * 3)
    assert stage.bus.posted == ["t1"]
    assert "assistant engine" in stage.dispatch.why_unanswered()
    stage.engine("e1", "online")
    assert stage.bus.posted == ["t1", "t1"]
    stage.say("reply", reply=reply())
    assert (await asked).reply.turn == "t1"
    assert stage.dispatch.engines == {"e1"}


async def test_what_strangers_say_of_engines_costs_little():
    stage = Stage()
    asked = stage.ask()
    await settle()
    for _ in range(3):
        stage.engine("e1", "online")
    assert len(stage.bus.posted) == 2
    for _ in range(20):
        stage.engine("e1", "offline")
        stage.engine("e1", "online")
    assert len(stage.bus.posted) == MOST_TRIES
    for number in range(2 * MOST_ENGINES):
        stage.engine(f"stranger-{number}", "online")
    assert len(stage.dispatch.engines) == MOST_ENGINES
    assert stage.dispatch.refused == MOST_ENGINES + 1
    asked.cancel()


async def test_the_answer_to_a_question_goes_to_the_engine_that_asked():
    stage = Stage()
    stage.engine("e1", "online", retain=True)
    asked = stage.ask(answers=Asked("t0", "e1"))
    await settle()
    stage.say("reply", reply=reply())
    await asked
    assert (stage.bus.addressees, stage.bus.answers) == (["e1"], ["t0"])


@pytest.mark.parametrize("dies", [True, False])
async def test_when_that_engine_is_gone_or_does_not_take_it_any_other_gets_it(dies: bool):
    stage = Stage()
    stage.engine("e1", "online", retain=True)
    stage.engine("e2", "online", retain=True)
    asked = stage.ask(answers=Asked("t0", "e1"))
    await settle()
    if dies:
        stage.engine("e1", "offline")
    else:
        await stage.clock.advance(TAKE_S + 0.6)
    assert (stage.bus.addressees, stage.bus.answers) == (["e1", ""], ["t0", "t0"])
    stage.say("reply", engine="e2", reply=reply())
    assert (await asked).engine == "e2"


async def test_an_engine_is_told_which_intents_may_answer():
    stage = Stage()
    tasks = [stage.ask(), stage.ask("t2", only=("a.b", "c.d")), stage.ask("t3", only=())]
    await settle()
    assert stage.bus.intents == [None, "a.b c.d", ""]
    for task in tasks:
        task.cancel()


async def test_an_engine_that_is_not_there_is_not_asked_first():
    stage = Stage()
    asked = stage.ask(answers=Asked("t0", "e1"))
    await settle()
    assert (stage.bus.addressees, stage.bus.answers) == ([""], ["t0"])
    asked.cancel()


async def test_what_a_newer_engine_says_beside_is_let_pass():
    stage = Stage()
    asked = stage.ask()
    await settle()
    stage.say("reply", reply=reply() | {"mood": "good"}, weather="fine")
    assert (await asked).reply.text == "It is nine."
    assert stage.dispatch.refused == 0


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"\xff",
        b'{"v": 2, "turn": "t1", "engine": "e1", "kind": "reply"}',
        b'{"v": 1, "turn": "t/#", "engine": "e1", "kind": "nothing"}',
        b'{"v": 1, "turn": "t1", "engine": "e1", "kind": "reply"}',
        b'{"v": 1, "turn": "t1", "engine": "e1", "kind": "error"}',
        json.dumps(
            {"v": 1, "turn": "t1", "engine": "e1", "kind": "reply", "reply": reply("other")}
        ).encode(),
        json.dumps(
            {"v": 1, "turn": "t1", "engine": "e1", "kind": "reply", "reply": reply(site="hall")}
        ).encode(),
    ],
)
async def test_what_is_no_answer_is_counted_and_waited_on(payload: bytes):
    stage = Stage()
    asked = stage.ask()
    await settle()
    stage.hear(payload)
    assert stage.dispatch.refused == 1
    assert not asked.done()
    stage.say("error", error="no answer within 20 s")
    assert (await asked).error == "no answer within 20 s"


async def test_a_retained_answer_is_none():
    stage = Stage()
    asked = stage.ask()
    await settle()
    told = {"v": 1, "turn": "t1", "engine": "e1", "kind": "nothing"}
    stage.hear(json.dumps(told).encode(), retain=True)
    await settle()
    assert not asked.done()
    asked.cancel()


@pytest.mark.parametrize(
    ("mqtt", "reason"),
    [({"host": "embedded"}, "embedded"), ({"protocol": "3.1.1"}, "needs MQTT 5")],
)
async def test_a_broker_that_cannot_serve_satellites_is_named(mqtt: dict[str, Any], reason: str):
    settings = Settings.model_validate({"mqtt": mqtt})
    ears: Any = None
    with pytest.raises(UserError, match=reason):
        Satellite(settings, ears, SilentHerald())
