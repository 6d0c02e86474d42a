"""What a flow written for Rhasspy sees and can ask for."""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from assistant.hermes.bridge import OPEN_S, WAIT_S, Bridge
from assistant.mqtt.commands import Cancel, Listen, Say
from assistant.mqtt.payloads import Activity, EventType, ReplyPayload
from assistant.mqtt.topics import Topics
from assistant.turn import EndReason, Reply, Turn
from tests.audio.support import FakeClock, settle
from tests.support.broker import Mosquitto
from tests.support.bus import connected, heard, running_bus

SESSION = {"siteId": "kitchen", "sessionId": "t1"}


@dataclass
class FakeBus:
    """Keeps what is posted, and hands over what comes in."""

    topics: Topics = field(default_factory=lambda: Topics("assistant", "kitchen"))
    posted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    obeyed: list[Any] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    hearers: dict[str, Callable[[Any], None]] = field(default_factory=dict)
    observer: Any = None

    def watch(self, observer: Any) -> None:
        self.observer = observer

    def listen(self, topic: str, hear: Callable[[Any], None]) -> None:
        self.hearers[topic] = hear

    def post(self, topic: str, payload: bytes, envelope: Any) -> None:
        self.posted.append((topic.removeprefix("hermes/"), json.loads(payload)))

    def obey(self, command: Any) -> None:
        self.obeyed.append(command)

    def event(self, kind: EventType, **details: Any) -> None:
        self.errors.append(details["message"])


class Stage:
    """A bridge, and what the dialogue would do."""

    def __init__(self) -> None:
        self.bus = FakeBus()
        self.clock = FakeClock()
        numbers = itertools.count(1)
        bus: Any = self.bus
        self.bridge = Bridge(bus, self.clock, new_id=lambda: f"s{next(numbers)}")

    def ask(self, verb: str, *, retain: bool = False, **wish: Any) -> None:
        self.give(verb, json.dumps(wish).encode(), retain=retain)

    def give(self, verb: str, payload: bytes, *, retain: bool = False) -> None:
        message = SimpleNamespace(payload=payload, retain=retain)
        self.bus.hearers[f"hermes/{verb}"](message)

    def speak(self, turn: str = "t1") -> None:
        self.bridge.event(EventType.SPEECH_START, turn, {"started_by": "voice"})
        self.bridge.state(Activity.LISTENING)

    def end(self, turn: str = "t1", **details: Any) -> None:
        self.bridge.event(EventType.SPEECH_END, turn, {"seconds": 1.5, **details})

    def answer(
        self, text: str = "It is on.", turn: str = "t1", *, intent: str | None = "lights.switch"
    ) -> None:
        said = Turn(turn, "kitchen", "turn on the lamp", 0.9, "", intent, {"name": "lamp"})
        self.bridge.reply(ReplyPayload.of(Reply(said, text, EndReason.SILENCE)))
        self.bridge.state(Activity.IDLE)

    def told(self, topic: str) -> dict[str, Any]:
        [payload] = [payload for name, payload in self.bus.posted if name == topic]
        return payload

    @property
    def names(self) -> list[str]:
        return [topic.rpartition("/")[2] for topic, _ in self.bus.posted]


async def test_a_turn_is_a_session_that_others_may_end_with_words_of_their_own():
    stage = Stage()
    stage.speak()
    stage.end()
    stage.answer()
    assert stage.names == [
        "sessionStarted",
        "startListening",
        "stopListening",
        "textCaptured",
        "lights.switch",
        "say",
        "sayFinished",
    ]
    stage.ask("dialogueManager/endSession", sessionId="t1", text="As you wish.")
    assert stage.bus.obeyed == [Say(text="As you wish.")]
    assert stage.names[-3:] == ["say", "sayFinished", "sessionEnded"]
    ended = stage.told("dialogueManager/sessionEnded")
    assert ended == {"termination": {"reason": "nominal"}, "customData": None, **SESSION}


async def test_the_payloads_are_spelt_as_hermes_spells_them():
    stage = Stage()
    stage.speak()
    stage.end()
    stage.answer()
    captured = stage.told("asr/textCaptured")
    assert captured | SESSION == captured
    assert (captured["text"], captured["likelihood"], captured["seconds"]) == (
        "turn on the lamp",
        0.9,
        1.5,
    )
    assert captured["asrTokens"][0][1] == {
        "value": "on",
        "confidence": 0.9,
        "rangeStart": 5,
        "rangeEnd": 7,
        "time": None,
    }
    intent = stage.told("intent/lights.switch")
    assert intent["intent"] == {"intentName": "lights.switch", "confidenceScore": 0.9}
    assert intent["input"] == "turn on the lamp"
    assert intent["slots"] == [
        {
            "entity": "name",
            "slotName": "name",
            "confidence": 1.0,
            "rawValue": "lamp",
            "value": {"kind": "Custom", "value": "lamp"},
            "range": {"start": 12, "end": 16},
        }
    ]
    assert stage.told("tts/say")["text"] == "It is on."
    assert stage.told("tts/sayFinished")["id"] == stage.told("tts/say")["id"]


async def test_a_session_that_nobody_ends_ends_by_itself():
    stage = Stage()
    stage.speak()
    stage.end()
    stage.answer()
    await stage.clock.advance(WAIT_S + 0.1)
    assert stage.told("dialogueManager/sessionEnded")["termination"] == {"reason": "nominal"}


@pytest.mark.parametrize(
    ("reason", "termination"),
    [("no_speech", "timeout"), ("cancelled", "abortedByUser"), ("muted", "abortedByUser")],
)
async def test_an_utterance_that_comes_to_nothing_ends_the_session(reason: str, termination: str):
    stage = Stage()
    stage.speak()
    stage.end(reason=reason, dropped=True)
    assert stage.told("dialogueManager/sessionEnded")["termination"] == {"reason": termination}


async def test_what_no_plugin_knows_is_not_recognized_and_still_answered():
    stage = Stage()
    stage.speak()
    stage.end()
    stage.answer("I do not know.", intent=None)
    assert stage.names[3:] == [
        "textCaptured",
        "intentNotRecognized",
        "say",
        "sayFinished",
        "sessionEnded",
    ]
    assert stage.told("nlu/intentNotRecognized")["input"] == "turn on the lamp"


async def test_a_turn_without_words_and_one_that_failed():
    stage = Stage()
    stage.speak()
    stage.end()
    stage.bridge.state(Activity.IDLE)
    assert stage.told("nlu/intentNotRecognized")["input"] == ""
    stage.bus.posted.clear()
    stage.speak("t2")
    stage.end("t2")
    stage.bridge.event(EventType.ERROR, "t2", {"message": "no answer within 20 s"})
    stage.bridge.state(Activity.IDLE)
    assert stage.told("error/dialogueManager")["error"] == "no answer within 20 s"
    assert stage.told("dialogueManager/sessionEnded")["termination"] == {"reason": "error"}


async def test_a_flow_starts_a_session_asks_and_continues_it():
    stage = Stage()
    init = {"type": "action", "text": "Which lamp?", "intentFilter": ["lights.switch"]}
    stage.ask("dialogueManager/startSession", init=init, siteId="kitchen", customData={"n": 7})
    assert stage.bus.obeyed == [Say(text="Which lamp?"), Listen()]
    assert stage.told("dialogueManager/sessionStarted")["customData"] == {"n": 7}
    # the announcement comes round as a reply, which Hermes knows already
    said = Turn("x", "kitchen", "")
    stage.bridge.reply(ReplyPayload.of(Reply(said, "Which lamp?", EndReason.TEXT)))
    stage.speak()
    stage.end()
    stage.answer("Fine.")
    assert stage.told("intent/lights.switch")["customData"] == {"n": 7}
    assert stage.told("intent/lights.switch")["sessionId"] == "s1"
    assert [p["text"] for n, p in stage.bus.posted if n == "tts/say"] == ["Which lamp?", "Fine."]
    stage.ask("dialogueManager/continueSession", sessionId="s1", text="And now?")
    assert stage.bus.obeyed[2:] == [Say(text="And now?"), Listen()]
    stage.speak("t2")
    stage.end("t2")
    stage.answer("Done.", "t2", intent="clock.time")
    stage.ask("dialogueManager/endSession", sessionId="s1")
    assert stage.names.count("sessionStarted") == 1
    assert stage.names.count("sessionEnded") == 1


async def test_an_intent_outside_the_filter_is_not_recognized():
    stage = Stage()
    init = {"type": "action", "intentFilter": ["clock.time"], "sendIntentNotRecognized": True}
    stage.ask("dialogueManager/startSession", init=init)
    stage.speak()
    stage.end()
    stage.answer()
    assert "lights.switch" not in stage.names
    assert stage.names.count("intentNotRecognized") == 2
    assert "sessionEnded" not in stage.names


async def test_a_session_that_hears_nothing_is_an_error():
    stage = Stage()
    stage.ask("dialogueManager/startSession", init={"type": "action"})
    await stage.clock.advance(OPEN_S + 0.1)
    assert stage.told("dialogueManager/sessionEnded")["termination"] == {"reason": "error"}


async def test_sessions_wait_for_each_other_or_are_refused():
    stage = Stage()
    stage.speak()
    stage.ask("dialogueManager/startSession", init={"type": "action", "canBeEnqueued": False})
    assert stage.names[-1] == "sessionEnded"
    stage.ask("dialogueManager/startSession", init={"type": "action"}, customData="later")
    assert stage.names[-1] == "sessionQueued"
    stage.end(reason="cancelled", dropped=True)
    assert stage.bus.posted[-1][0] == "dialogueManager/sessionStarted"
    assert stage.bus.posted[-1][1]["customData"] == "later"


async def test_a_notification_is_said_and_over():
    stage = Stage()
    stage.ask("dialogueManager/startSession", init={"type": "notification", "text": "Dinner."})
    assert stage.names == ["sessionStarted", "say", "sayFinished", "sessionEnded"]
    assert stage.bus.obeyed == [Say(text="Dinner.")]


async def test_a_flow_lets_the_assistant_speak_and_is_told_when_it_has():
    stage = Stage()
    stage.ask("tts/say", text="Hello.", siteId="kitchen", id="7", sessionId="x")
    stage.ask("tts/say", text="Not here.", siteId="cellar")
    assert stage.bus.obeyed == [Say(text="Hello.")]
    assert stage.told("tts/sayFinished") == {"id": "7", "siteId": "kitchen", "sessionId": "x"}


async def test_its_own_words_come_back_and_are_not_said_again():
    stage = Stage()
    stage.speak()
    stage.end()
    stage.answer()
    stage.give("tts/say", json.dumps(stage.told("tts/say")).encode())
    assert stage.bus.obeyed == []


async def test_a_session_ended_while_somebody_speaks_is_cancelled():
    stage = Stage()
    stage.speak()
    stage.ask("dialogueManager/endSession", sessionId="t1")
    assert stage.bus.obeyed == [Cancel()]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"{", "Invalid JSON"),
        (b"\xff", "Invalid JSON"),
        (b"[]", "payload: Input should be an object"),
        (b"{}", "init: Field required"),
        (b'{"init": {"type": "party"}}', "init.type"),
        (b'{"init": {"text": "' + b"x" * 70_000 + b'"}}', "over 65536"),
    ],
)
async def test_nonsense_is_one_line_and_one_event(payload: bytes, reason: str):
    stage = Stage()
    stage.give("dialogueManager/startSession", payload)
    [line] = stage.bus.errors
    assert reason in line
    assert "\n" not in line
    assert stage.bus.posted == []


async def test_what_is_retained_is_old():
    stage = Stage()
    stage.ask("tts/say", text="Hello.", retain=True)
    assert stage.bus.obeyed == []
    assert "retained" in stage.bus.errors[0]


async def test_a_flow_on_a_real_broker(broker: Mosquitto, tmp_path: Path):
    async with running_bus(broker.settings, tmp_path / "state") as bus:
        Bridge(bus, FakeClock())
        await connected(bus)
        async with broker.hub("hermes/#") as flow:
            bus.event(EventType.SPEECH_START, "t1", started_by="voice")
            bus.event(EventType.SPEECH_END, "t1", reason="silence", seconds=1.0)
            said = Turn("t1", "kitchen", "what time is it", 0.9, "", "clock.time")
            bus.reply(Reply(said, "It is nine.", EndReason.SILENCE))
            names = [message.topic.value for message in await heard(flow, 7)]
            assert names[:4] == [
                "hermes/dialogueManager/sessionStarted",
                "hermes/asr/startListening",
                "hermes/asr/stopListening",
                "hermes/asr/textCaptured",
            ]
            end = {"sessionId": "t1", "text": "Bye."}
            await flow.publish("hermes/dialogueManager/endSession", json.dumps(end), qos=1)
            assert await anext(bus.commands()) == Say(text="Bye.")
        await settle()
        assert bus.counters.refused_commands == 0
