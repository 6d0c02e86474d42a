import itertools
from datetime import time, timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

import pytest

from assistant.intents import Intents
from assistant.loading import load_plugins
from assistant.matching import Matcher
from assistant.matching_benchmark import bench_match, crowd
from assistant.plugin import Choices, Converter, Plugin, Range, Samples, Turn
from assistant.settings import PluginSettings


class Colour(Enum):
    RED = "red"
    WARM_WHITE = "warm white"


def make(plugin):
    loaded, problems = load_plugins(PluginSettings(folder=Path("/nowhere")), extra=[plugin])
    assert not problems
    alone = [each for each in loaded if each.plugin is plugin]
    return Intents(alone, state_folder=Path("/nowhere"), timeout_s=1)


def intents_for(annotation, template):
    async def handler(turn: Turn, slot) -> str:
        return ""

    handler.__annotations__["slot"] = annotation
    plugin = Plugin("probe")
    plugin.intent(template)(handler)
    return make(plugin)


@pytest.mark.parametrize(
    ("annotation", "said", "value"),
    [
        (Literal["on", "off"], "off", "off"),
        (Colour, "warm white", Colour.WARM_WHITE),
        (Annotated[Colour, Choices({"red": ["crimson", "red"]})], "crimson", Colour.RED),
        (Annotated[str, Choices({"tv": ["telly", "television"]})], "telly", "tv"),
        (Annotated[str, Choices(["kids' room"])], "kids room", "kids' room"),
        (int, "twenty one", 21),
        (int, "21", 21),
        (int, "two thousand", 2000),
        (Annotated[int, Range(0, 10)], "ten", 10),
        (float, "two point five", 2.5),
        (timedelta, "an hour and a half", timedelta(minutes=90)),
        (time, "half past seven pm", time(19, 30)),
        (str, "the long way home", "the long way home"),
        (str | None, "home", "home"),
        (Annotated[str, Converter(str.upper)], "loud", "LOUD"),
        (Annotated[str, Choices({"tv": ["telly"]})] | None, "telly", "tv"),
        (Annotated[str, Choices({"tv": "telly"})], "telly", "tv"),
        (Annotated[float, Range(0.5, 2.5)], "one point five", 1.5),
        (Annotated[int, Choices([8, 12])], "twelve", 12),
        (Literal[1, 2], "two", 2),
    ],
)
def test_a_slot_has_the_type_of_the_signature(annotation, said, value):
    [match] = intents_for(annotation, "set it to {slot}").match(f"Set it to {said}.")
    assert match.slots == {"slot": value}
    assert match.confidence == 1.0


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        (Annotated[int, Range(0, 10)], "eleven"),
        (Annotated[float, Range(0.5, 2.5)], "two point six"),
        (int, "many"),
        (Literal["on", "off"], "sideways"),
        (Annotated[int, Converter(int)], "word"),
    ],
)
def test_a_value_outside_the_type_is_no_match(annotation, said):
    assert intents_for(annotation, "set it to {slot}").match(f"set it to {said}") == []


@pytest.mark.parametrize(
    ("template", "sentence", "fits"),
    [
        ("turn off [the] {slot} light[s]", "turn off kitchen lights", True),
        ("turn off [the] {slot} light[s]", "turn off the kitchen light", True),
        ("turn off [the] {slot} light[s]", "turn offthe kitchen light", False),
        ("turn off [the] {slot} light[s]", "turn off the kitchenlight", False),
        ("[please] go (to|into) {slot} [now]", "go into kitchen", True),
        ("(the {slot}; go)", "go the kitchen", True),
        ("what's in the {slot}", "whats in the kitchen", True),
        ("top 5 in {slot}", "top five in kitchen", True),
    ],
)
def test_hassil_templates_match_whole_words(template, sentence, fits):
    matches = intents_for(Literal["kitchen"], template).match(sentence)
    assert any(match.confidence == 1.0 for match in matches) is fits


@pytest.mark.parametrize(
    ("kind", "said", "value"),
    [
        ("text", "oat milk", "oat milk"),
        ("number", "twelve", 12),
        ("float", "one point five", 1.5),
        ("duration", "two minutes", timedelta(minutes=2)),
        ("time", "half past six", time(6, 30)),
    ],
)
def test_a_template_may_say_the_kind_of_a_slot(kind, said, value):
    plugin = Plugin("probe")

    @plugin.intent(f"note {{item:{kind}}} down")
    async def handler(turn: Turn, item) -> None: ...

    assert make(plugin).match(f"note {said} down")[0].slots == {"item": value}


@pytest.mark.parametrize(
    ("template", "sentence", "fits"),
    [
        ("two {slot}[s]", "two lattes", True),
        ("two {slot}[s]", "two latte", True),
        ("two {slot}[s] please", "two lattes please", True),
        ("two {slot}(s|) please", "two latte please", True),
        ("two {slot}[s] [please]", "two latteplease", False),
        ("the {slot}'s foam", "the latte's foam", True),
        ("two {slot}, please", "two latte please", True),
    ],
)
def test_letters_may_follow_a_slot(template, sentence, fits):
    intents = intents_for(Literal["latte", "flat white"], template)
    matches = intents.match(sentence)
    assert any(match.confidence == 1.0 for match in matches) is fits
    assert all(intents.match(each.text) for each in intents.sentences())


def test_polite_words_need_not_be_in_the_template():
    intents = intents_for(int, "count to {slot}")
    for sentence in ("Could you please count to ten?", "hey count to ten for me thanks"):
        assert intents.match(sentence)[0].slots == {"slot": 10}


def test_priority_then_the_more_specific_template_comes_first():
    plugin = Plugin("order")

    @plugin.intent("play {what}")
    async def anything(turn: Turn, what: str) -> None: ...

    @plugin.intent("play the radio")
    async def radio(turn: Turn) -> None: ...

    @plugin.intent("play the {what}", priority=1)
    async def urgent(turn: Turn, what: str) -> None: ...

    matches = make(plugin).match("play the radio")
    assert [match.intent for match in matches] == ["order.urgent", "order.radio", "order.anything"]


@pytest.fixture(scope="module")
def bundled():
    loaded, problems = load_plugins(PluginSettings(folder=Path("/nowhere")))
    assert not problems
    return Intents(loaded, state_folder=Path("/nowhere"), timeout_s=1)


@pytest.mark.parametrize(
    ("heard", "intent", "sentence"),
    [
        ("turn of the kitten light", "lights.switch", "turn off the kitchen light"),
        ("set a time or for five minutes", "timer.start", "set a timer for five minutes"),
        ("set a pasta timer for tin minutes", "timer.start", "set a pasta timer for ten minutes"),
        ("whats the thyme", "clock.time", "what's the time"),
        ("turn on the kitchin lite", "lights.switch", "turn on the kitchen light"),
        ("turn off the livingroom lights", "lights.switch", "turn off the living room lights"),
        (
            "dim the living room rights to thirty per cent",
            "lights.dim",
            "dim the living room lights to thirty percent",
        ),
    ],
)
def test_a_misheard_sentence_is_understood_with_less_confidence(bundled, heard, intent, sentence):
    match = bundled.match(heard)[0]
    assert (match.intent, match.sentence) == (intent, sentence)
    assert 0.8 <= match.confidence < 1
    assert bundled.candidates(heard)[0] == sentence


@pytest.mark.parametrize(
    "heard",
    [
        "turn on the kitchen fan",
        "don't turn on the kitchen light",
        "what day is it on friday",
        "set a timer for one point twenty five hours",
        "what is the capital of france",
        "set a trap for five minutes",
        "who wrote the iliad",
        "",
        "?!",
        "la " * 200,
    ],
)
def test_another_request_is_not_taken_for_a_template(bundled, heard):
    assert bundled.match(heard) == []


@pytest.mark.parametrize(
    "heard",
    [
        "turn the kitchen lights up",
        "turn the lights up",
        "turn down the kitchen lights",
        "turn the lights down",
        "turn the heating down",
        "turn down the heating",
        "turn on the toilet light",
        "turn off the oven light",
        "turn on the red light",
        "turn off the car lights",
        "turn on the desk lamp",
    ],
)
def test_another_direction_room_or_lamp_switches_nothing(bundled, heard):
    intents = {match.intent for match in bundled.match(heard)}
    assert not intents & {"lights.switch", "lights.switch_all", "climate.switch"}


def test_candidates_keep_polite_words_and_are_bounded(bundled):
    candidates = bundled.candidates("please turn of the kitten light", limit=5)
    assert len(candidates) == 5
    assert candidates[0] == "please turn off the kitchen light"
    assert bundled.candidates("word " * 50) == []


def test_sampled_sentences_are_understood_as_what_they_were_made_from(bundled):
    drawn = list(itertools.islice(bundled.sentences(seed=3), 1500))
    assert len({sentence.text for sentence in drawn}) == 1500
    assert {sentence.intent for sentence in drawn} == {
        bound.intent
        for loaded in bundled.plugins
        for bound in loaded.handlers
        if bound.handler.listened_for
    }
    wrong = [each for each in drawn if bundled.match(each.text)[0].intent != each.intent]
    assert wrong == []


def test_the_same_seed_draws_the_same_sentences(bundled):
    first, again, other = (
        [each.text for each in itertools.islice(bundled.sentences(seed), 50)] for seed in (1, 1, 2)
    )
    assert first == again != other


def test_sampling_ends_when_nothing_is_new():
    plugin = Plugin("few")

    @plugin.intent("knock [knock]", "who is {who}")
    async def handler(turn: Turn, who: Annotated[str, Samples("there")] = "") -> None: ...

    texts = sorted(sentence.text for sentence in make(plugin).sentences())
    assert texts == ["knock", "knock knock", "who is there"]


def test_the_benchmark_times_every_kind_of_sentence(bundled):
    rows = list(bench_match(Matcher.of(bundled.plugins), 20))
    assert [(row.kind, row.count) for row in rows] == [
        ("as a template has it", 20),
        ("mis-heard", 20),
        ("no request", 20),
    ]
    assert all(0 < row.p50_ms <= row.p99_ms for row in rows)


def test_the_benchmark_makes_up_templates_that_are_heard():
    matcher = Matcher([bound for each in make(crowd(49)).plugins for bound in each.handlers])
    assert len(matcher) == 49
    assert matcher.exact("check the oven in the attic")[0].slots == {"place": "attic"}
    assert matcher.fuzzy("chuck the oven in the attic")[0].slots == {"place": "attic"}


@pytest.mark.parametrize(
    ("templates", "word"),
    [
        ("[please] switch on", "switch"),
        ("(open|close) it", "it"),
        ("what's up", "whats"),
        ("(open|close) [now]", ""),
    ],
)
def test_a_template_knows_a_word_of_all_its_wordings(templates, word):
    [owner] = make(quiet(templates)).plugins[0].handlers[0].templates
    assert owner.certain_word == word


def quiet(template):
    plugin = Plugin("quiet")

    @plugin.intent(template)
    async def handler(turn: Turn) -> None: ...

    return plugin
