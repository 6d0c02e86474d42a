"""What a flow written for Rhasspy sees and can ask for."""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from assistant.hermes.bridge import OPEN_S, WAIT_S, Bridge
from assistant.hermes.door import BURST
from assistant.mqtt.commands import Cancel, Listen, Say
from assistant.mqtt.payloads import Activity, EventType, ReplyPayload
from assistant.mqtt.topics import Topics
from assistant.testing import Assistant
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
        self.heeded: list[tuple[bool, bool]] = []
        self.bridge = Bridge(bus, self.clock, new_id=lambda: f"s{next(numbers)}")

    def heed(self, *, voices: bool, commands: bool) -> None:
        self.heeded.append((voices, commands))

    def ask(self, verb: str, *, retain: bool = False, **wish: Any) -> None:
        self.give(verb, json.dumps(wish).encode(), retain=retain)

    def give(self, verb: str, payload: bytes, *, retain: bool = False) -> None:
        topic = SimpleNamespace(value=f"hermes/{verb}")
        message = SimpleNamespace(topic=topic, payload=payload, retain=retain)
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
        "toggleOff",
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
    assert stage.names[-4:] == ["say", "sayFinished", "sessionEnded", "toggleOn"]
    assert stage.told("hotword/toggleOn") == {"siteId": "kitchen", "reason": "dialogueSession"}
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
    assert stage.names[4:] == [
        "textCaptured",
        "intentNotRecognized",
        "say",
        "sayFinished",
        "sessionEnded",
        "toggleOn",
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


@dataclass
class FakeMatch:
    intent: str
    told: dict[str, Any] = field(default_factory=lambda: {"name": "lamp"})
    confidence: float = 0.95


def knowing(*intents: str) -> tuple[Stage, list[Any]]:
    """A bridge whose plugins understand "turn on the lamp" by any of `intents`, best first."""
    stage, limits = Stage(), []
    matches = [FakeMatch(each) for each in intents]
    known = {"turn on the lamp": matches}
    stage.bridge.connect(limits.append, stage.heed, lambda text: known.get(text, []))
    return stage, limits


async def test_the_intents_of_a_session_are_the_only_ones_that_may_answer_in_it():
    stage, limits = knowing()
    init = {"type": "action", "intentFilter": ["clock.time"]}
    stage.ask("dialogueManager/startSession", init=init)
    assert limits[-1] == ("clock.time",)
    stage.speak()
    stage.end()
    stage.answer(intent="clock.time")
    stage.ask("dialogueManager/continueSession", sessionId="s1", intentFilter=["a.b", "c.d"])
    assert limits[-1] == ("a.b", "c.d")
    stage.ask("dialogueManager/endSession", sessionId="s1")
    assert limits[-1] is None
    stage.speak("t2")
    assert limits[-1] is None


async def test_words_are_parsed_and_nothing_is_done_about_them():
    stage, _ = knowing("lights.switch")
    asked = {"input": "turn on the lamp", "id": "q1", "sessionId": "x", "siteId": "kitchen"}
    stage.ask("nlu/query", **asked, customData="mine", asrConfidence=0.5)
    parsed = stage.told("nlu/intentParsed")
    assert parsed["intent"] == {"intentName": "lights.switch", "confidenceScore": 0.95}
    assert parsed | asked == parsed
    assert parsed["slots"][0] | {"slotName": "name", "rawValue": "lamp"} == parsed["slots"][0]
    intent = stage.told("intent/lights.switch")
    assert intent | parsed == intent
    assert (intent["customData"], intent["asrConfidence"]) == ("mine", 0.5)
    assert intent["asrTokens"][0][3]["value"] == "lamp"
    assert stage.names == ["intentParsed", "lights.switch"]
    assert stage.bus.obeyed == []


@pytest.mark.parametrize(
    ("said", "wanted", "intent"),
    [
        ("turn on the lamp", ["lights.dim"], "lights.dim"),
        ("turn on the lamp", ["lights.dim", "lights.switch"], "lights.switch"),
        ("turn on the lamp", ["clock.time"], None),
        ("turn on the lamp", [], None),
        ("turn on the lamp", None, "lights.switch"),
        ("sing a song", None, None),
    ],
)
async def test_a_query_takes_the_best_of_the_intents_that_it_names(said, wanted, intent):
    stage, _ = knowing("lights.switch", "lights.dim")
    stage.ask("nlu/query", input=said, intentFilter=wanted, id="q1")
    if intent is not None:
        assert stage.names == ["intentParsed", intent]
    else:
        told = stage.told("nlu/intentNotRecognized")
        assert (told["input"], told["id"], told["siteId"]) == (said, "q1", "kitchen")
        assert len(stage.bus.posted) == 1


async def test_a_query_for_another_site_is_none_of_ours_and_without_plugins_it_fails():
    stage = Stage()
    stage.ask("nlu/query", input="turn on the lamp", siteId="cellar")
    assert stage.bus.posted == []
    stage.ask("nlu/query", input="turn on the lamp", id="q1", sessionId="x")
    failed = stage.told("error/nlu")
    assert (failed["sessionId"], failed["context"]) == ("x", "turn on the lamp")
    assert "ask an engine" in failed["error"]


async def test_a_wake_word_is_told_and_that_of_others_is_obeyed():
    stage = Stage()
    stage.bridge.event(EventType.WAKE, "t1", {})
    stage.speak()
    assert stage.names[:3] == ["detected", "toggleOff", "sessionStarted"]
    told = stage.told("hotword/default/detected")
    assert told["siteId"] == "kitchen"
    hear = stage.bus.hearers["hermes/hotword/+/detected"]
    topic = SimpleNamespace(value="hermes/hotword/button/detected")

    def detected(**payload: Any) -> None:
        hear(SimpleNamespace(topic=topic, payload=json.dumps(payload).encode(), retain=False))

    detected(**told)
    detected(modelId="button", siteId="cellar")
    assert stage.bus.obeyed == []
    detected(modelId="button", siteId="kitchen")
    assert stage.bus.obeyed == [Listen()]


async def test_a_flood_is_let_through_in_part_and_told_a_few_times():
    stage, _ = knowing()
    for _ in range(500):
        stage.ask("nlu/query", input="sing a song")
    assert len(stage.bus.posted) == BURST
    assert 1 <= len(stage.bus.errors) <= 5
    assert "more than 20 a second" in stage.bus.errors[0]
    await stage.clock.advance(1)
    stage.ask("nlu/query", input="sing a song")
    assert len(stage.bus.posted) == BURST + 1


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


async def test_a_query_of_a_flow_is_parsed_by_the_plugins(
    broker: Mosquitto, tmp_path: Path, assistant: Assistant
):
    intents = await assistant.intents()
    async with running_bus(broker.settings, tmp_path / "state") as bus:
        bridge = Bridge(bus, FakeClock())
        limit, match = partial(intents.limit, "kitchen"), partial(intents.match, site="kitchen")
        bridge.connect(limit, Stage().heed, match)
        await connected(bus)
        async with broker.hub("hermes/intent/#", "hermes/nlu/+") as flow:
            for wanted in (None, ["clock.time"]):
                query = {"input": "turn off the kitchen light", "intentFilter": wanted}
                await flow.publish("hermes/nlu/query", json.dumps(query), qos=1)
            told = {
                message.topic.value: json.loads(message.payload) for message in await heard(flow, 5)
            }
    slots = {
        slot["slotName"]: slot["value"] for slot in told["hermes/intent/lights.switch"]["slots"]
    }
    assert slots["room"] == {"kind": "Custom", "value": "kitchen"}
    assert told["hermes/nlu/intentParsed"]["intent"]["confidenceScore"] == 1.0
    assert told["hermes/nlu/intentNotRecognized"]["input"] == "turn off the kitchen light"
    assert assistant.world.published == []


async def test_a_flow_on_a_real_broker(broker: Mosquitto, tmp_path: Path):
    async with running_bus(broker.settings, tmp_path / "state") as bus:
        Bridge(bus, FakeClock())
        await connected(bus)
        async with broker.hub("hermes/#") as flow:
            bus.event(EventType.SPEECH_START, "t1", started_by="voice")
            bus.event(EventType.SPEECH_END, "t1", reason="silence", seconds=1.0)
            said = Turn("t1", "kitchen", "what time is it", 0.9, "", "clock.time")
            bus.reply(Reply(said, "It is nine.", EndReason.SILENCE))
            names = [message.topic.value for message in await heard(flow, 8)]
            assert names[:5] == [
                "hermes/hotword/toggleOff",
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
