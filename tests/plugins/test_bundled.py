import ast
import json
from datetime import timedelta
from pathlib import Path

import pytest

import plugins
from assistant.loading import load_plugins
from assistant.settings import PluginSettings
from assistant.slots import jsonable
from assistant.testing import Assistant
from tests.support.assistant import RECORDINGS, any_model

FILES = [path for path in Path(plugins.__file__).parent.glob("*.py") if path.stem != "__init__"]
LOADED, _ = load_plugins(PluginSettings(folder=Path("/nowhere")))
EXAMPLES = [
    (bound.intent, sentence, slots)
    for loaded in LOADED
    for bound in loaded.handlers
    for sentence, slots in bound.handler.examples.items()
]


@pytest.fixture
def no_programs(tmp_path, monkeypatch):
    """Keep the plugins from the players and the volume of the machine that runs the tests."""
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("no_programs")
@pytest.mark.parametrize(("intent", "sentence", "slots"), EXAMPLES)
async def test_every_example_is_answered_by_its_own_handler(assistant, intent, sentence, slots):
    turn = await assistant.hear(sentence)
    assert turn.intent == intent
    assert turn.reply
    assert turn.error is None
    said = {name: value for name, value in slots.items() if name in turn.slots}
    assert jsonable(said).items() <= turn.slots.items()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_bundled_plugin_is_one_short_file_that_needs_only_the_public_api(path):
    source = path.read_text()
    assert len(source.splitlines()) < 150
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith(("assistant", "engines")):
            assert node.module == "assistant.plugin"


async def test_the_clock_speaks_the_time_and_date_of_the_turn(assistant):
    assert (await assistant.hear("what time is it")).reply == ("It's nine o'clock in the morning.")
    await assistant.advance(6 * 3600 + 600)
    replies = {
        "what's the time": "It's ten past three in the afternoon.",
        "what day is it tomorrow": "Tomorrow is Tuesday.",
        "what's the date today": "It's Monday, January fifth.",
        "what was the date yesterday": "Yesterday was Sunday, January fourth.",
        "what's the date on friday": "Friday is January ninth.",
        "what date is it next monday": "Monday is January twelfth.",
        "what year is it": "It's January twenty twenty six.",
    }
    for sentence, reply in replies.items():
        assert (await assistant.hear(sentence)).reply == reply


async def test_a_light_is_switched_over_mqtt_and_remembered(assistant):
    turn = await assistant.hear("Turn the living room lights off!")
    assert turn.published == [("home/light/living_room/set", "OFF")]
    await assistant.restart()
    turn = await assistant.hear("is the living room light on")
    assert turn.reply == "No, the living room light is off."
    assert (await assistant.hear("is the attic light on")).reply.startswith("I don't know")


async def test_a_light_is_dimmed_by_state_and_brightness(assistant):
    turn = await assistant.hear("dim the kitchen lights to thirty percent")
    [(topic, payload)] = turn.published
    assert topic == "home/light/kitchen/set"
    assert json.loads(payload) == {"state": "ON", "brightness": 76}
    assert (await assistant.hear("which lights are on")).reply == "kitchen."


async def test_rooms_and_topic_are_configurable(tmp_path):
    lights = {"rooms": ["studio", "tool shed"], "topic": "zigbee2mqtt/{room}/set"}
    settings = PluginSettings(folder=tmp_path / "none", config={"lights": lights})
    assistant = Assistant(tmp_path, settings)
    turn = await assistant.hear("turn everything on")
    assert turn.published == [
        ("zigbee2mqtt/studio/set", "ON"),
        ("zigbee2mqtt/tool_shed/set", "ON"),
    ]
    assert (await assistant.hear("turn on the kitchen light")).intent is None


async def test_a_timer_rings_with_words_and_an_event(assistant):
    turn = await assistant.hear("set a pasta timer for ten minutes", site="kitchen")
    assert turn.reply == "Pasta timer set for ten minutes."
    assert turn.slots == {"name": "pasta", "length": 600}
    assert turn.scheduled == ("timer/pasta",)
    await assistant.advance(599)
    assert assistant.said == []
    await assistant.advance(1)
    assert assistant.world.said == [("kitchen", "Your pasta timer is done!")]
    assert assistant.events == [("timer_rang", {"plugin": "timer", "name": "pasta"})]
    assert (await assistant.hear("how long is left")).reply == "No timer is running."


async def test_several_timers_run_and_say_how_long_is_left(assistant):
    await assistant.hear("set a timer for five minutes")
    await assistant.hear("start a two minute tea timer")
    await assistant.advance(60)
    assert (await assistant.hear("how much time is left on the tea timer")).reply == (
        "Tea timer: one minute."
    )
    assert (await assistant.hear("what timers are running")).reply == (
        "Timer: four minutes. Tea timer: one minute."
    )


async def test_timers_survive_a_restart_and_ring_at_their_site(assistant):
    await assistant.hear("set a timer for five minutes", site="attic")
    await assistant.advance(120)
    await assistant.restart()
    await assistant.advance(180)
    assert assistant.world.said == [("attic", "Your timer is done!")]


async def test_a_timer_that_ended_while_the_assistant_was_down_rings_at_start(assistant):
    await assistant.hear("set a timer for five minutes")
    intents = await assistant.intents()
    await intents.stop()
    assistant.world.started += timedelta(hours=1)
    await intents.start(assistant.world)
    await assistant.advance(0)
    assert assistant.said == ["Your timer is done!"]


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ("set a timer for 1.5 hours", "Timer set for one hour and thirty minutes."),
        ("set a timer for 10 mins", "Timer set for ten minutes."),
        ("set a timer for ten minits", "Timer set for ten minutes."),
        ("set a 5 min egg timer", "Egg timer set for five minutes."),
    ],
)
async def test_a_timer_has_the_length_that_was_typed_and_no_article_for_a_name(
    assistant, said, reply
):
    assert (await assistant.hear(said)).reply == reply


async def test_timers_are_cancelled_by_name_or_all_at_once(assistant):
    await assistant.hear("set a pasta timer for ten minutes")
    await assistant.hear("set a timer for five minutes")
    assert (await assistant.hear("stop the egg timer")).reply == "There is no egg timer."
    turn = await assistant.hear("stop the pasta timer")
    assert turn.reply == "Pasta timer cancelled."
    assert turn.scheduled == ("timer/",)
    assert (await assistant.hear("cancel the timer")).reply == "Timer cancelled."
    await assistant.advance(3600)
    assert assistant.said == []


async def test_a_recording_is_heard_by_the_bundled_model(assistant):
    any_model()
    turn = await assistant.hear(RECORDINGS / "1-light.opus")
    assert turn.transcript == "turn on the kitchen light"
    assert (turn.intent, turn.slots) == ("lights.switch", {"state": "on", "room": "kitchen"})
    assert turn.published == [("home/light/kitchen/set", "ON")]
