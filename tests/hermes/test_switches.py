"""What a flow switches off: the wake word, the recogniser, single intents."""

import pytest

from assistant.hermes.switches import MOMENT_S
from assistant.wanted import wants
from tests.audio.support import settle
from tests.hermes.test_bridge import Stage, knowing

ALL, NO_VOICES, DEAF = (True, True), (False, True), (False, False)


def connected() -> Stage:
    stage, _ = knowing("lights.switch")
    assert stage.heeded == [ALL]
    return stage


@pytest.mark.parametrize(("part", "off"), [("hotword", NO_VOICES), ("asr", DEAF)])
async def test_what_is_switched_off_is_on_again_when_somebody_says_so(part, off):
    stage = connected()
    stage.ask(f"{part}/toggleOff", siteId="cellar")
    assert stage.heeded[-1] == ALL
    stage.ask(f"{part}/toggleOff", siteId="kitchen")
    assert stage.heeded[-1] == off
    stage.ask(f"{part}/toggleOn", siteId="kitchen")
    assert stage.heeded[-1] == ALL


async def test_it_is_on_again_when_the_last_reason_is_gone():
    stage = connected()
    stage.ask("asr/toggleOff", reason="playAudio")
    stage.ask("asr/toggleOff", reason="ttsSay")
    stage.ask("asr/toggleOn", reason="playAudio")
    assert stage.heeded[-1] == DEAF
    stage.ask("asr/toggleOn", reason="ttsSay")
    assert stage.heeded[-1] == ALL
    stage.ask("asr/toggleOff", reason="night")
    stage.ask("asr/toggleOff", reason="ttsSay")
    stage.ask("asr/toggleOn")
    assert stage.heeded[-1] == ALL


async def test_who_speaks_and_forgets_to_say_that_it_is_over_is_forgotten():
    stage = connected()
    stage.ask("hotword/toggleOff", reason="ttsSay")
    await stage.clock.advance(MOMENT_S - 1)
    stage.ask("hotword/toggleOff", reason="ttsSay")
    await stage.clock.advance(MOMENT_S - 1)
    assert stage.heeded[-1] == NO_VOICES
    await stage.clock.advance(2)
    assert stage.heeded[-1] == ALL
    stage.ask("hotword/toggleOff")
    await stage.clock.advance(100 * MOMENT_S)
    assert stage.heeded[-1] == NO_VOICES


async def test_the_sessions_of_this_site_do_not_switch_it_off():
    stage = connected()
    stage.ask("hotword/toggleOff", siteId="kitchen", reason="dialogueSession")
    stage.ask("hotword/toggleOff")
    stage.ask("hotword/toggleOn", siteId="kitchen", reason="dialogueSession")
    await settle()
    assert stage.heeded == [ALL, NO_VOICES]


async def test_what_was_switched_off_before_there_was_anybody_to_hear_is_off_then():
    stage = Stage()
    stage.ask("asr/toggleOff")
    stage.bridge.connect(lambda _: None, stage.heed)
    assert stage.heeded == [DEAF]


async def test_an_intent_that_is_switched_off_answers_in_no_session_that_does_not_name_it():
    stage, limits = knowing("lights.switch")
    switch = {"intentId": "lights.switch", "enable": False}
    stage.ask("dialogueManager/configure", siteId="kitchen", intents=[switch])
    stage.speak()
    assert limits[-1] == ("-lights.switch",)
    stage.end()
    stage.answer()
    assert "intentNotRecognized" in stage.names
    init = {"type": "action", "intentFilter": ["lights.switch"]}
    stage.ask("dialogueManager/startSession", init=init)
    assert limits[-1] == ("lights.switch",)
    stage.ask("dialogueManager/configure", intents=[{**switch, "enable": True}])
    stage.speak("t2")
    stage.answer(turn="t2", intent="lights.switch")
    _, started = [told for topic, told in stage.bus.posted if topic.endswith("sessionStarted")]
    stage.ask("dialogueManager/endSession", sessionId=started["sessionId"])
    assert limits[-1] is None


async def test_no_intents_at_all_switches_all_of_them_on():
    stage, limits = knowing("lights.switch")
    off = [{"intentId": name, "enable": False} for name in ("a.b", "c.d")]
    stage.ask("dialogueManager/configure", intents=off)
    stage.speak()
    assert limits[-1] == ("-a.b", "-c.d")
    stage.ask("dialogueManager/configure", intents=[])
    stage.ask("dialogueManager/endSession", sessionId="t1")
    stage.speak("t2")
    assert limits[-1] is None


@pytest.mark.parametrize(
    "wish",
    [
        {"intents": [{"intentId": "-a", "enable": False}]},
        {"intents": [{"intentId": "two words", "enable": False}]},
        {"intents": [{"enable": False}]},
        {"intents": "all"},
        {"intents": [{"intentId": "x" * 201, "enable": False}]},
    ],
)
async def test_what_is_no_configuration_is_refused_in_one_line(wish):
    stage, limits = knowing()
    stage.ask("dialogueManager/configure", **wish)
    stage.speak()
    assert len(stage.bus.errors) == 1
    assert limits[-1] is None


@pytest.mark.parametrize(
    ("intents", "intent", "wanted"),
    [
        (None, "a.b", True),
        ((), "a.b", False),
        (("a.b",), "a.b", True),
        (("a.b",), "c.d", False),
        (("-a.b",), "a.b", False),
        (("-a.b",), "c.d", True),
        (("-a.b", "c.d"), "e.f", False),
        (("-a.b", "a.b"), "a.b", False),
    ],
)
def test_names_say_which_intents_are_wanted(intents, intent, wanted):
    assert wants(intents, intent) is wanted
