"""What a handler may not do, and what becomes of one that fails again and again."""

import asyncio

import pytest

from assistant.breaker import FAILURES, REST_S
from assistant.loading import load_plugins
from assistant.plugin import Context, Plugin, Turn
from assistant.reach import covers
from assistant.settings import PluginSettings
from assistant.testing import Assistant


@pytest.fixture
def plugin(assistant):
    made = Plugin("probe")
    assistant.add(made)
    return made


async def test_a_task_left_behind_is_cancelled_and_named(assistant, plugin):
    ended = asyncio.Event()

    async def leak() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    @plugin.intent("do it")
    async def handler(turn: Turn) -> str:
        asyncio.create_task(leak())  # noqa: RUF006 - that is what is tested
        await asyncio.sleep(0)
        return "Done."

    assert (await assistant.hear("do it")).reply == "Done."
    assert ended.is_set()
    [(kind, fields)] = assistant.events
    assert kind == "error"
    line = leak.__code__.co_firstlineno + 2
    assert f"probe.handler left a task running at {__file__}:{line}" in fields["reason"]


async def test_a_task_of_others_code_that_is_left_behind_is_named_by_who_made_it(assistant, plugin):
    @plugin.intent("do it")
    async def handler(turn: Turn) -> str:
        asyncio.create_task(asyncio.sleep(3600))  # noqa: RUF006 - that is what is tested
        await asyncio.sleep(0)
        return "Done."

    assert (await assistant.hear("do it")).reply == "Done."
    [(_, fields)] = assistant.events
    line = handler.__code__.co_firstlineno + 2
    assert f"made at {__file__}:{line}, now cancelled" in fields["reason"]


async def test_tasks_that_on_start_makes_live_until_the_plugin_stops(assistant, plugin):
    seen = []

    async def follow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("ended")

    @plugin.on_start
    async def start(home: Context) -> None:
        asyncio.create_task(follow())  # noqa: RUF006 - the assistant holds it
        await asyncio.sleep(0)

    intents = await assistant.intents()
    assert (seen, assistant.events) == ([], [])
    await intents.stop()
    assert seen == ["ended"]


async def test_a_handler_that_fails_again_and_again_rests_and_is_tried_later(assistant, plugin):
    calls = []

    @plugin.intent("do it")
    async def handler(turn: Turn) -> str:
        calls.append(turn.id)
        if len(calls) <= FAILURES + 1:
            raise RuntimeError("no lamp")
        return "Done."

    async def reply() -> str | None:
        return (await assistant.hear("do it")).reply

    assert [await reply() for _ in range(FAILURES)] == ["The probe plugin failed."] * FAILURES
    assert "rests for 60 s: probe.handler: RuntimeError" in assistant.events[-1][1]["reason"]
    assert await reply() == "The probe plugin does not work just now."
    assert len(calls) == FAILURES
    await assistant.advance(REST_S)
    assert await reply() == "The probe plugin failed."
    assert await reply() == "The probe plugin does not work just now."
    await assistant.advance(REST_S)
    assert await reply() == "Done."
    assert assistant.events[-1] == ("recovered", {"plugin": "probe", "handler": "probe.handler"})


async def test_while_a_handler_rests_the_next_one_is_asked(assistant, plugin):
    @plugin.intent("do it", priority=1)
    async def first(turn: Turn) -> str:
        raise RuntimeError

    @plugin.intent("do it")
    async def second(turn: Turn) -> str:
        return "Second."

    for _ in range(FAILURES):
        await assistant.hear("do it")
    assert (await assistant.hear("do it")).reply == "Second."


@pytest.mark.parametrize("rests", [False, True])
async def test_a_fallback_answers_for_a_handler_that_fails(assistant, plugin, rests):
    async def from_memory(turn: Turn, room: str) -> str:
        return f"Perhaps {room}."

    @plugin.intent("look into {room}", fallback=from_memory)
    async def look(turn: Turn, room: str) -> str:
        raise RuntimeError("no lamp")

    @plugin.intent("do it", fallback="It is broken.")
    async def handler(turn: Turn) -> str:
        raise RuntimeError("no lamp")

    for _ in range(FAILURES * rests):
        await assistant.hear("do it")
        await assistant.hear("look into here")
    turn = await assistant.hear("do it")
    assert turn.reply == "It is broken."
    assert (turn.error is None) is rests
    assert (await assistant.hear("look into the attic")).reply == "Perhaps the attic."


def lamp(**options) -> Plugin:
    made = Plugin("lamp", **options)

    @made.intent("publish on {topic}")
    async def publish(turn: Turn, topic: str) -> str:
        await turn.mqtt.publish(topic.replace(" slash ", "/"), "x")
        return "Done."

    return made


@pytest.mark.parametrize(
    ("options", "topic", "allowed"),
    [
        ({}, "home slash lamp", True),
        ({}, "assistant slash kitchen slash reply", False),
        ({"topics": ["home/+/lamp"]}, "home slash attic slash lamp", True),
        ({"topics": ["home/+/lamp"]}, "home slash attic slash door", False),
        ({"topics": lambda config: ["assistant/#"]}, "assistant slash x", True),
        ({"topics": []}, "home slash lamp", False),
    ],
)
async def test_a_plugin_publishes_only_on_its_topics(assistant, options, topic, allowed):
    assistant.add(lamp(**options))
    turn = await assistant.hear(f"publish on {topic}")
    assert (turn.error is None) is allowed
    assert len(turn.published) == allowed
    if not allowed:
        assert "plugins.topics.lamp" in turn.error
        assert topic.replace(" slash ", "/") in turn.error


async def test_the_users_topics_go_before_the_plugins_own(tmp_path):
    settings = PluginSettings(folder=tmp_path / "none", topics={"lamp": ["cellar/#"]})
    assistant = Assistant(tmp_path, settings)
    assistant.add(lamp(topics=["home/#"]))
    assert (await assistant.hear("publish on cellar slash lamp")).reply == "Done."
    assert "may publish on cellar/#" in (await assistant.hear("publish on home slash lamp")).error


async def test_a_refusal_that_the_plugin_swallows_is_published_all_the_same(assistant):
    quiet = Plugin("quiet", topics=["home/#"])

    @quiet.intent("do it")
    async def handler(turn: Turn) -> str:
        try:
            await turn.mqtt.publish("garden/gate", "open")
        except PermissionError:
            return "Hm."
        return "Done."

    assistant.add(quiet)
    turn = await assistant.hear("do it")
    assert (turn.reply, turn.error) == ("Hm.", None)
    assert "quiet did not publish on 'garden/gate'" in assistant.events[0][1]["reason"]


@pytest.mark.parametrize("topics", [["a/#/b"], ["a+"], [""], "home/#", lambda _: 5])
def test_topics_that_are_no_filters_are_refused(tmp_path, topics):
    _, [problem] = load_plugins(PluginSettings(folder=tmp_path), extra=[lamp(topics=topics)])
    assert __file__ in problem.reason


@pytest.mark.parametrize(
    ("pattern", "topic", "takes"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/b/c", False),
        ("a/+", "a/b", True),
        ("a/+", "a", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("#", "a/b", True),
    ],
)
def test_filters_take_topics_as_mqtt_says(pattern, topic, takes):
    assert covers(pattern, topic) is takes
