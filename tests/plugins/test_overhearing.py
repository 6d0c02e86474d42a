"""Two engines that answer at the same site: what one said, the other can go on with."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest

from assistant.answers import describe
from assistant.conversation import SPEAKING_S
from assistant.plugin import Ask, Plugin, Turn
from assistant.settings import PluginSettings
from assistant.testing import Assistant, HeardTurn
from assistant.turn import Question
from assistant.turn import Turn as Heard
from plugins import clock, lights

plugin = Plugin("pizza")


@plugin.intent("order [a] [{size}] pizza [in {wait}]", examples=["order a pizza"])
async def order(
    turn: Turn, size: Literal["small", "large"] | None = None, wait: timedelta | None = None
) -> Ask | str:
    if size is None:
        return Ask("Small or large?", expects=["[a] {size} [one]"], timeout=6)
    return Ask(f"A {size} one in {wait}, right?", expects=["yes", "no"], then=confirm)


async def confirm(turn: Turn, size: str, wait: timedelta | None = None) -> str:
    return f"{turn.answer}: {size}, {wait}"


@dataclass
class Engines:
    """The first one answers, the second overhears."""

    first: Assistant
    second: Assistant
    turns: list[str] = field(default_factory=list)

    async def hear(self, said: str, *, answers: str = "", site: str = "kitchen") -> HeardTurn:
        """Let the first one answer, and the second know of it, over the wire."""
        turn = await self.first.hear(said, site=site)
        number = f"turn-{len(self.turns) + 1}"
        self.turns.append(number)
        slots = json.loads(json.dumps(dict(turn.slots)))
        heard = Heard(number, site, said, intent=turn.intent, slots=slots)
        question = describe(turn.ask) if turn.ask is not None else None
        (await self.second.intents()).overhear(heard, turn.reply or "So.", question, answers)
        return turn


@pytest.fixture
def engines(tmp_path: Path) -> Engines:
    bare = PluginSettings(folder=tmp_path / "none", installed=False)
    both = Engines(Assistant(tmp_path / "1", bare), Assistant(tmp_path / "2", bare))
    for each in (both.first, both.second):
        for used in (plugin, clock.plugin, lights.plugin):
            each.add(used)
    return both


async def test_the_other_engine_takes_the_answer_with_the_slots_of_the_question(engines):
    await engines.hear("order a pizza in ten minutes")
    turn = await engines.second.hear("a large one", site="kitchen")
    assert turn.reply == "A large one in 0:10:00, right?"
    assert (await engines.second.hear("yes", site="kitchen")).reply == "yes: large, 0:10:00"


async def test_it_follows_a_whole_conversation_and_takes_over_at_its_end(engines):
    await engines.hear("order a pizza in ten minutes")
    await engines.hear("large", answers="turn-1")
    assert (await engines.second.hear("no", site="kitchen")).reply == "no: large, 0:10:00"


async def test_the_question_belongs_to_its_site_and_is_settled_by_what_comes_after(engines):
    await engines.hear("order a pizza")
    assert (await engines.second.hear("large", site="attic")).intent is None
    await engines.hear("what is the meaning of life")
    assert (await engines.second.hear("large", site="kitchen")).intent is None


async def test_a_request_is_continued_and_repeated_by_the_other_engine(engines):
    await engines.hear("turn off the kitchen light")
    turn = await engines.second.hear("and in the bedroom", site="kitchen")
    assert turn.slots == {"room": "bedroom", "state": "off"}
    assert turn.published


@pytest.mark.parametrize(
    ("late_s", "answers", "intent"),
    [
        (5.9, "", "pizza.order"),
        (6.1, "", None),
        (6.0 + SPEAKING_S, "turn-1", "pizza.order"),
        (6.1 + SPEAKING_S, "turn-1", None),
        (1.0, "turn-0", None),
    ],
)
async def test_a_satellite_knows_whether_an_answer_began_in_time(engines, late_s, answers, intent):
    await engines.hear("order a pizza")
    await engines.second.advance(late_s)
    (await engines.second.intents()).speech_began("kitchen", answers=answers)
    assert (await engines.second.hear("large", site="kitchen")).intent == intent


class Keeper:
    async def take(self, turn: Turn) -> str:
        return "kept"


def takers() -> dict[str, Callable[..., Awaitable[str]]]:
    async def inner(turn: Turn) -> str:
        return "inner"

    return {"inner": inner, "method": Keeper().take}


@pytest.mark.parametrize("name", takers())
async def test_only_the_engine_that_asked_can_call_a_function_that_is_nowhere_by_name(
    engines, name
):
    made = Plugin("secret")

    @made.intent("guess")
    async def guess(turn: Turn) -> Ask:
        return Ask("What?", expects=["this"], then=takers()[name])

    for each in (engines.first, engines.second):
        each.add(made)
    await engines.hear("guess")
    assert (await engines.second.hear("this", site="kitchen")).intent is None
    assert (await engines.first.hear("this", site="kitchen")).intent == "secret.guess"


@pytest.mark.parametrize(
    ("intent", "slots", "question"),
    [
        ("pizza.order", {}, Question(("{colour}",), 5.0)),
        ("pizza.order", {}, Question(("[",), 5.0)),
        ("pizza.order", {}, Question(("large",), 5.0, "takers")),
        ("pizza.order", {}, Question(("large",), 5.0, "json")),
        ("pizza.order", {}, Question(("large",), 5.0, "__builtins__")),
        ("pizza.order", {"size": "huge"}, Question(("large",), 5.0)),
        ("clock.time", {}, Question(("large",), 5.0)),
        ("nobody.knows", {}, Question(("large",), 5.0)),
        (None, {}, None),
    ],
)
async def test_what_does_not_fit_the_plugins_here_is_not_taken_on_trust(
    engines, intent, slots, question
):
    intents = await engines.second.intents()
    heard = Heard("t1", "kitchen", "order a pizza", intent=intent, slots=slots)
    intents.overhear(heard, "What?", question, "")
    assert (await engines.second.hear("large", site="kitchen")).intent is None


async def test_the_answers_of_each_room_are_listened_for_in_that_room(engines):
    intents = await engines.first.intents()
    plain = intents.templates
    await engines.hear("order a pizza", site="kitchen")
    await engines.hear("what time is it", site="attic")
    with intents.hearing("kitchen"):
        assert [each.source for each in intents.templates if each not in plain] == [
            "[a] {size} [one]"
        ]
        assert intents.candidates("a lardge one")[0] == "a large one"
    with intents.hearing("attic"):
        assert intents.templates == plain
    with intents.hearing("cellar"):
        assert intents.templates == plain
