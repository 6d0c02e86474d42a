"""Questions back, and requests that continue the one before."""

from typing import Annotated, Literal

import pytest

from assistant.conversation import CONTEXT_S, MAX_EARLIER
from assistant.plugin import Ask, Choices, Plugin, Reply, Turn

Size = Annotated[
    Literal["small", "large"], Choices({"large": ["large", "big"], "small": ["small"]})
]


@pytest.fixture
def plugin(assistant):
    made = Plugin("coffee")
    assistant.add(made)
    return made


@pytest.fixture
def brew(plugin):
    """A handler that asks for what it was not told."""

    @plugin.intent("brew [a] [{size}] {drink}", "pour {drink}")
    async def brew(
        turn: Turn, drink: Literal["espresso", "latte"], size: Size | None = None
    ) -> Reply | Ask:
        if size is None:
            return Ask("Small or large?", expects=["[a] {size} [one]"], timeout=5)
        return Reply(f"A {size} {drink}.")

    return brew


async def test_the_handler_is_called_again_with_the_slots_of_question_and_answer(assistant, brew):
    turn = await assistant.hear("brew a latte")
    assert (turn.reply, turn.ask.timeout) == ("Small or large?", 5)
    turn = await assistant.hear("a big one please")
    assert (turn.intent, turn.reply) == ("coffee.brew", "A large latte.")
    assert turn.slots == {"drink": "latte", "size": "large"}
    assert (await assistant.hear("a big one please")).intent is None


@pytest.mark.parametrize(("seconds", "intent"), [(4.9, "coffee.brew"), (5.1, None)])
async def test_an_answer_belongs_to_its_question_for_a_while(assistant, brew, seconds, intent):
    await assistant.hear("brew a latte")
    await assistant.advance(seconds)
    assert (await assistant.hear("small")).intent == intent


async def test_an_answer_that_began_in_time_may_end_later(assistant, brew):
    await assistant.hear("brew a latte")
    await assistant.advance(4.9)
    (await assistant.intents()).speech_began("default")
    await assistant.advance(10)
    assert (await assistant.hear("small")).reply == "A small latte."


async def test_a_question_that_was_given_up_takes_no_answer(assistant, brew):
    await assistant.hear("brew a latte")
    (await assistant.intents()).hush("default")
    assert (await assistant.hear("small")).intent is None


async def test_an_answer_belongs_to_the_site_of_the_question(assistant, brew):
    await assistant.hear("brew a latte", site="kitchen")
    assert (await assistant.hear("small", site="attic")).intent is None
    assert (await assistant.hear("small", site="kitchen")).reply == "A small latte."


@pytest.mark.parametrize("other", ["what time is it", "tell me a story"])
async def test_another_request_settles_the_question(assistant, brew, other):
    await assistant.hear("brew a latte")
    assert (await assistant.hear(other)).intent != "coffee.brew"
    assert (await assistant.hear("small")).intent is None


async def test_a_misheard_answer_is_found_and_proposed_to_the_model(assistant, plugin):
    @plugin.intent("do it")
    async def handler(turn: Turn) -> Ask | str:
        return turn.answer or Ask("Which?", expects=["the yellow submarine", "the red one"])

    intents = await assistant.intents()
    before = intents.templates
    await assistant.hear("do it")
    expected = [each.source for each in intents.templates if each not in before]
    assert expected == ["the yellow submarine", "the red one"]
    assert intents.candidates("the yellow submarin")[0] == "the yellow submarine"
    assert (await assistant.hear("the yellow submarin")).reply == "the yellow submarine"
    assert intents.templates == before


async def test_without_expected_answers_any_words_that_are_no_request_are_the_answer(
    assistant, plugin
):
    @plugin.intent("take a note")
    async def note(turn: Turn) -> Ask | str:
        return f"Noted: {turn.answer}." if turn.answer else Ask("What shall I note?")

    await assistant.hear("take a note")
    assert (await assistant.hear("Water the ferns!")).reply == "Noted: water the ferns."
    await assistant.hear("take a note")
    assert (await assistant.hear("what time is it")).intent == "clock.time"


async def test_another_function_may_take_the_answer(assistant, plugin):
    async def sure(turn: Turn, word: Literal["yes", "no"]) -> str:
        return f"{word} ({turn.intent}, {turn.answer})"

    @plugin.intent("descale {times} times")
    async def descale(turn: Turn, times: int) -> Ask:
        return Ask(f"{times} times, sure?", expects=["{word}"], then=sure)

    await assistant.hear("descale two times")
    assert (await assistant.hear("yes")).reply == "yes (coffee.descale, yes)"


async def test_expected_answers_that_are_no_templates_are_an_error(assistant, plugin):
    @plugin.intent("do it")
    async def handler(turn: Turn) -> Ask:
        return Ask("Which?", expects=["the {colour} one"])

    turn = await assistant.hear("do it")
    assert turn.reply == "The coffee plugin failed."
    assert "no parameter of the handler is named 'colour'" in turn.error
    assert f"{__file__}:" in turn.error


async def test_earlier_turns_of_the_site_are_at_hand(assistant, plugin):
    @plugin.intent("count {number}")
    async def count(turn: Turn, number: int) -> str:
        return " ".join(f"{each.slots['number']}" for each in turn.earlier) or "none"

    assert (await assistant.hear("count one")).reply == "none"
    assert (await assistant.hear("count two", site="attic")).reply == "none"
    for number in ("two", "three"):
        turn = await assistant.hear(f"count {number}")
    assert turn.reply == "1 2"
    for _ in range(MAX_EARLIER):
        turn = await assistant.hear("count four")
    assert turn.reply == "3" + " 4" * (MAX_EARLIER - 1)


@pytest.mark.parametrize(
    ("first", "then", "slots"),
    [
        ("turn off the kitchen light", "and in the bedroom", {"room": "bedroom", "state": "off"}),
        ("turn off the kitchen light", "and the office light too", {"room": "office"}),
        ("turn off the kitchen light", "what about the garage?", {"room": "garage"}),
        ("turn off the kitchen light", "and now on", {"room": "kitchen", "state": "on"}),
        ("dim the attic light to ten percent", "and the garage to thirty percent", {"percent": 30}),
        ("dim the attic light to ten percent", "make it fifty percent", {"room": "attic"}),
    ],
)
async def test_a_request_is_continued_with_other_slots(assistant, first, then, slots):
    intent = (await assistant.hear(first)).intent
    turn = await assistant.hear(then)
    assert turn.intent == intent
    assert slots.items() <= turn.slots.items()
    assert turn.published


@pytest.mark.parametrize(
    "other", ["and in the volcano", "in the bedroom", "and", "and that is all"]
)
async def test_other_words_do_not_continue_a_request(assistant, other):
    await assistant.hear("turn off the kitchen light")
    assert (await assistant.hear(other)).published == []


async def test_a_request_is_continued_only_for_a_while(assistant):
    await assistant.hear("turn off the kitchen light")
    await assistant.advance(CONTEXT_S + 1)
    assert (await assistant.hear("and in the bedroom")).intent is None


async def test_only_some_intents_may_be_wanted_at_a_site(assistant, brew):
    intents = await assistant.intents()
    intents.limit("kitchen", {"clock.time"})
    turn = await assistant.hear("turn off the kitchen light", site="kitchen")
    assert (turn.intent, turn.published) == (None, [])
    assert (await assistant.hear("brew a latte", site="kitchen")).intent is None
    assert (await assistant.hear("what time is it", site="kitchen")).intent == "clock.time"
    assert (await assistant.hear("brew a latte", site="attic")).intent == "coffee.brew"
    intents.limit("kitchen", None)
    assert (await assistant.hear("brew a latte", site="kitchen")).intent == "coffee.brew"
    intents.limit("kitchen", ())
    assert (await assistant.hear("small", site="kitchen")).intent is None
