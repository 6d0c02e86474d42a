"""Answers that owners write in TOML."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from assistant.loading import load_plugins
from assistant.origins import POLL_S, on_change
from assistant.settings import PluginSettings
from assistant.testing import Assistant, FakeClock

PAGE = Path(__file__).parents[2] / "docs" / "owner.md"
GUIDE = PAGE.read_text(encoding="utf-8").partition("## Your own answers")[2]
HOUSE = re.findall(r"^```toml\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "drop-in"
    made.mkdir()
    return made


@pytest.fixture
def assistant(tmp_path: Path, folder: Path) -> Assistant:
    return Assistant(tmp_path, PluginSettings(folder=folder))


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("when do the bins go out", ("is_bin_day", "The bins go out on Thursday.", [])),
        (
            "make the kitchen warm white",
            (
                "make_the",
                "The kitchen is warm at 80 percent.",
                [("home/kitchen/lamp/set", {"colour": "warm", "level": 80})],
            ),
        ),
        (
            "make the living room blue at ten percent",
            (
                "make_the",
                "The living room is blue at 10 percent.",
                [("home/living room/lamp/set", {"colour": "blue", "level": 10})],
            ),
        ),
        (
            "note down oat milk and {reply}",
            ("note", "I noted oat milk and reply.", [("home/notes", "oat milk and reply")]),
        ),
    ],
)
async def test_the_answers_of_the_guide_are_given(assistant, folder, said, answer):
    (folder / "house.toml").write_text(HOUSE)
    turn = await assistant.hear(said)
    told = [(topic, json.loads(p) if p.startswith("{") else p) for topic, p in turn.published]
    assert turn.error is None
    assert (turn.intent.removeprefix("house."), turn.reply, told) == answer


def write(folder: Path, text: str, name: str = "house.toml") -> list[str]:
    path = folder / name
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    loaded, problems = load_plugins(PluginSettings(folder=folder, installed=False))
    assert bool(loaded) is not bool(problems)
    return [each.reason.replace(f"{path}:", "") for each in problems]


ANSWER = '[[answer]]\nsentences = "knock"\nreply = "Come in."\n'
LISTS = '[lists]\nroom = ["hall"]\n'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "1 answer: Field required"),
        (f"{ANSWER}\n[[answer]]\nreply = 'x'\n", "5 answer.sentences: Field required"),
        (f"{ANSWER}\n[[answer]]\nsentences = 'x'\nreply = 3\n", "7 answer.reply: Input should be"),
        (f"{ANSWER}\nanswers = 3\n", "5 answer.answers: Extra inputs are not permitted"),
        ("a = 1\n\nb = ", "3 Invalid value"),
        (f"{ANSWER}sentences = 'again'\n", "4 Cannot overwrite a value"),
        (f"{ANSWER}\n# \udcff", "5 is not UTF-8"),
        (f"# {'x' * 262_144}\n{ANSWER}", "1 262"),
        ('[[answer]]\nsentences = [\n  "(knock",\n]\nreply = "?"', "2 template '(knock'"),
        ('[[answer]]\nsentences = "in {room}"\nreply = "?"', "2 {room} is none of the [lists]"),
        (f'{ANSWER}[[answer]]\nsentences = "a"\nreply = "{{b}}"', "6 reply: {b} is in none"),
        (
            f'{LISTS}[[answer]]\nsentences = "go [to the {{room}}]"\nreply = "{{room}}"',
            "3 template 'go [to the {room}]' can leave 'room' unsaid: give it a default",
        ),
        (
            f'{ANSWER.replace("knock", "do {it:text}")}publish = {{ topic = "home/{{it}}/set" }}',
            "4 publish: {it} of a topic has to be one of the [lists]",
        ),
        (f'{ANSWER}publish = {{ topic = "home/#" }}', "4 answer.publish.topic: String should"),
        (f'{ANSWER}publish = {{ topic = "$SYS/a" }}', "4 answer.publish.topic: String should"),
        (
            f'{ANSWER}publish = {{ topic = "a", payload = {{ at = 2026-01-05 }} }}',
            "4 answer.publish.payload: Value error, JSON has no dates and no times",
        ),
        (
            f'{ANSWER}publish = {{ topic = "a", payload = {{ b = nan }} }}',
            "4 answer.publish.payload",
        ),
        (ANSWER.replace("knock", "the {class:text}"), "2 'class' is not a valid parameter name"),
        ("a = " + "[" * 60_000, "1 is nested too deeply"),
        (f"{ANSWER}examples = 'ring'", "1 knock: example 'ring' fits none of its templates"),
        (f"{ANSWER}name = 'a-b'", "4 answer.name: String should match"),
        (f"{ANSWER}name = 'a'\n{ANSWER}name = 'a'\n", "1 two handlers are named 'a'"),
        (f"{LISTS}[lists.b]\nx = 'y'\nz = 'y'\n[[answer]]\nsentences='{{b}}'\nreply='?'", "6 slot"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line_that_names_the_place(folder, text, reason):
    [told] = write(folder, text)
    assert told.startswith(reason)
    assert "\n" not in told


def test_a_file_is_named_like_a_plugin(folder):
    [told] = write(folder, ANSWER, "my-answers.toml")
    assert told.startswith("1 plugin name 'my-answers': use small letters")


def test_answers_without_a_name_are_named_by_their_words_and_never_alike(folder):
    ring = '[[answer]]\nsentences = "[please] ring {n:number} bells"\nreply = "Ding."\n'
    count = "[[answer]]\nsentences = '{n:number}'\nreply = '{n}'\n"
    assert write(folder, ring + ring.replace("[please]", "do") + ring + count + count) == []
    loaded, _ = load_plugins(PluginSettings(folder=folder, installed=False))
    names = [bound.handler.name for each in loaded for bound in each.handlers]
    assert names == ["ring_bells", "do_ring_bells", "ring_bells_2", "answer", "answer_2"]


async def test_a_slot_may_have_any_name(assistant, folder):
    text = ANSWER.replace("knock", "my {turn:text} and {said:number}").replace("in", "in {turn}")
    (folder / "house.toml").write_text(text)
    assert (await assistant.hear("my old friend and two")).reply == "Come in old friend."


async def test_a_file_publishes_on_its_own_topics_alone(assistant, folder):
    (folder / "house.toml").write_text(HOUSE)
    intents = await assistant.intents()
    [house] = [each for each in intents.plugins if each.plugin.name == "house"]
    assert house.topics == ("home/+/lamp/set", "home/notes")


async def test_a_saved_file_answers_anew_and_a_broken_one_leaves_the_old(assistant, folder):
    path = folder / "house.toml"
    path.write_text(ANSWER)
    assert (await assistant.hear("knock")).reply == "Come in."
    path.write_text(ANSWER.replace("Come in", "Who is there"))
    assert (await assistant.reload()).started == ("house",)
    assert (await assistant.hear("knock")).reply == "Who is there."
    path.write_text(ANSWER.replace("reply", "replay"))
    [problem] = (await assistant.reload()).problems
    assert problem.reason.startswith(f"{path}:")
    assert (await assistant.hear("knock")).reply == "Who is there."
    path.unlink()
    assert (await assistant.reload()).stopped == ("house",)
    assert (await assistant.hear("knock")).intent is None


async def test_a_file_that_is_saved_is_noticed(folder):
    path, clock, seen = folder / "house.toml", FakeClock(), asyncio.Queue[str]()
    path.write_text(ANSWER)

    async def act() -> None:
        seen.put_nowait(path.read_text())

    watching = asyncio.create_task(on_change(PluginSettings(folder=folder), clock, act))
    try:
        assert await asyncio.wait_for(seen.get(), 20) == ANSWER
        while not clock._sleepers:  # noqa: ASYNC110 - it looks at files on a thread
            await asyncio.sleep(0)
        path.write_text(ANSWER * 2)
        await clock.advance(POLL_S)
        assert await asyncio.wait_for(seen.get(), 20) == ANSWER * 2
    finally:
        watching.cancel()


async def test_durations_and_times_are_spoken_as_people_do(assistant, folder):
    text = '[[answer]]\nsentences = "bake {length:duration} at {at:time}"\n'
    text += 'reply = "For {length}, at {at}."\n'
    text += 'publish = { topic = "oven", payload = { s = "{length}", at = "{at}", on = true } }\n'
    (folder / "oven.toml").write_text(text)
    turn = await assistant.hear("bake an hour and a half at half past seven pm")
    assert turn.reply == ("For one hour and thirty minutes, at half past seven in the evening.")
    [(topic, payload)] = turn.published
    assert (topic, json.loads(payload)) == ("oven", {"s": 5400, "at": "19:30", "on": True})
