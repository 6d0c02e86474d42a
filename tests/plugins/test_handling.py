import asyncio

import pytest

from assistant import handling
from assistant.plugin import Ask, Context, Plugin, Reply, Speaker, Turn
from assistant.store import MAX_BYTES, Store


@pytest.fixture
def plugin(assistant):
    made = Plugin("probe")
    assistant.add(made)
    return made


@pytest.mark.parametrize("answer", [Reply("Done."), "Done."])
async def test_a_reply_or_a_text_is_the_answer(assistant, plugin, answer):
    @plugin.intent("do it")
    async def handler(turn: Turn) -> Reply | str:
        return answer

    turn = await assistant.hear("do it")
    assert (turn.intent, turn.reply, turn.error) == ("probe.handler", "Done.", None)


async def test_a_question_back_is_kept_with_its_answers(assistant, plugin):
    @plugin.intent("do it")
    async def handler(turn: Turn) -> Ask:
        return Ask("Sure?", expects=["yes", "no"], timeout=5)

    turn = await assistant.hear("do it")
    assert turn.reply == "Sure?"
    assert turn.ask == Ask("Sure?", expects=["yes", "no"], timeout=5)


async def test_a_handler_that_declines_leaves_the_turn_to_the_next(assistant, plugin):
    @plugin.intent("do it", priority=1)
    async def first(turn: Turn) -> None: ...

    @plugin.intent("do it")
    async def second(turn: Turn) -> str:
        return turn.intent

    assert (await assistant.hear("do it")).reply == "probe.second"


async def test_when_all_decline_the_model_answers(assistant, plugin):
    @plugin.intent("do it")
    async def handler(turn: Turn) -> None: ...

    turn = await assistant.hear("do it")
    assert (turn.intent, turn.reply) == (None, None)


async def test_a_handler_that_raises_costs_only_its_turn(assistant, plugin):
    @plugin.intent("do it")
    async def handler(turn: Turn) -> str:
        raise KeyError("lamp")

    turn = await assistant.hear("do it")
    line = handler.__code__.co_firstlineno + 2
    assert turn.reply == "The probe plugin failed."
    assert turn.error == f"probe.handler: KeyError: 'lamp' at {__file__}:{line}"
    assert (await assistant.hear("what time is it")).intent == "clock.time"


async def test_a_handler_that_is_too_slow_is_cancelled_and_named(assistant, plugin):
    cancelled = asyncio.Event()

    @plugin.intent("do it", timeout=0.01)
    async def handler(turn: Turn) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return ""

    turn = await assistant.hear("do it")
    assert turn.reply == "The probe plugin failed."
    assert "took longer than 0.01 s" in turn.error
    assert __file__ in turn.error
    await asyncio.wait_for(cancelled.wait(), 1)


@pytest.mark.parametrize("answer", [5, b"Done.", ["Done."], Reply(""), "", Reply(5)])
async def test_a_wrong_answer_is_an_error_not_a_crash(assistant, plugin, answer):
    @plugin.intent("do it")
    async def handler(turn: Turn) -> str:
        return answer

    turn = await assistant.hear("do it")
    assert turn.reply == "The probe plugin failed."
    assert "probe.handler returned" in turn.error


async def test_a_cancelled_turn_cancels_its_handler(assistant, plugin):
    started, cancelled = asyncio.Event(), asyncio.Event()

    @plugin.intent("do it")
    async def handler(turn: Turn) -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return ""

    await assistant.intents()
    hearing = asyncio.create_task(assistant.hear("do it"))
    await asyncio.wait_for(started.wait(), 1)
    hearing.cancel()
    await asyncio.wait_for(cancelled.wait(), 1)
    with pytest.raises(asyncio.CancelledError):
        await hearing
    assert hearing.cancelled()


@pytest.mark.parametrize(
    ("topic", "payload"), [("home/#", "x"), ("home/+/set", "x"), ("", "x"), ("home", "x" * 70_000)]
)
async def test_a_message_that_cannot_be_published_is_refused(assistant, plugin, topic, payload):
    @plugin.intent("do it")
    async def handler(turn: Turn) -> str:
        await turn.mqtt.publish(topic, payload)
        return "Done."

    turn = await assistant.hear("do it")
    assert "ValueError" in turn.error
    assert turn.published == []


async def test_a_callback_runs_later_and_what_it_returns_is_said(assistant, plugin):
    @plugin.intent("do it")
    async def handler(turn: Turn) -> str:
        async def callback() -> str:
            return "Ding."

        turn.schedule(10, callback, "bell")
        return "Waiting."

    turn = await assistant.hear("do it", site="attic")
    assert turn.scheduled == ("probe/bell",)
    await assistant.advance(9)
    assert assistant.said == []
    await assistant.advance(1)
    assert assistant.world.said == [("attic", "Ding.")]


async def test_a_callback_can_schedule_itself_again(assistant, plugin):
    @plugin.intent("do it")
    async def handler(turn: Turn) -> str:
        async def tick() -> str:
            turn.schedule(1, tick, "tick")
            return "Tick."

        turn.schedule(1, tick, "tick")
        return "Started."

    await assistant.hear("do it")
    await assistant.advance(3.5)
    assert assistant.said == ["Tick."] * 3


async def test_a_callback_that_fails_is_published_as_an_error(assistant, plugin):
    @plugin.intent("do it")
    async def handler(turn: Turn) -> str:
        async def callback() -> None:
            raise RuntimeError("broken bell")

        turn.schedule(1, callback, "bell")
        return "Waiting."

    await assistant.hear("do it")
    await assistant.advance(1)
    [(kind, fields)] = assistant.events
    assert kind == "error"
    assert fields["plugin"] == "probe"
    assert "broken bell" in fields["reason"]


async def test_what_a_callback_returns_in_vain_is_published_as_an_error(assistant, plugin):
    @plugin.intent("do it")
    async def handler(turn: Turn) -> str:
        async def callback() -> int:
            return 5

        turn.schedule(1, callback, "bell")
        return "Waiting."

    await assistant.hear("do it")
    await assistant.advance(1)
    [(kind, fields)] = assistant.events
    assert (kind, fields["plugin"]) == ("error", "probe")
    assert fields["reason"].startswith("probe bell returned 5, not a Reply, a text or None at ")
    assert assistant.said == []


async def test_half_a_character_is_no_answer(assistant, plugin):
    @plugin.intent("do it")
    async def handler(turn: Turn) -> str:
        return "a\ud800b"

    turn = await assistant.hear("do it")
    assert turn.reply == "The probe plugin failed."
    assert "which has half a character at " in turn.error


async def test_what_a_callback_cannot_say_is_published_as_an_error(assistant, plugin):
    @plugin.intent("do it")
    async def handler(turn: Turn) -> str:
        async def callback() -> str:
            return "Ding."

        turn.at("attic").schedule(1, callback, "bell")
        return "Waiting."

    async def say(site: str, text: str, *, plugin: str) -> None:
        raise ValueError(f"{plugin} cannot speak at {site!r}")

    assistant.world.say = say
    await assistant.hear("do it")
    await assistant.advance(1)
    [(kind, fields)] = assistant.events
    assert (kind, fields["reason"]) == ("error", "probe cannot speak at 'attic'")


async def test_too_many_callbacks_are_refused(assistant, plugin):
    @plugin.intent("do it")
    async def handler(turn: Turn) -> str:
        async def callback() -> None: ...

        for number in range(handling.MAX_SCHEDULED + 1):
            turn.schedule(1, callback, str(number))
        return "Done."

    assert "callbacks waiting already" in (await assistant.hear("do it")).error


async def test_a_start_hook_that_fails_is_an_event_and_the_plugin_still_answers(assistant, plugin):
    @plugin.on_start
    async def start(home: Context) -> None:
        raise RuntimeError("no lamp")

    @plugin.intent("do it")
    async def handler(turn: Turn) -> str:
        return "Done."

    assert (await assistant.hear("do it")).reply == "Done."
    assert "no lamp" in assistant.events[0][1]["reason"]


async def test_stop_hooks_run(assistant, plugin):
    stopped = []

    @plugin.on_stop
    async def stop(home: Context) -> None:
        stopped.append(home.site)

    await assistant.restart()
    assert stopped == ["default"]


def test_a_store_survives_a_restart_and_gives_copies(tmp_path):
    store = Store(tmp_path / "deep" / "a.json")
    store["list"] = [1]
    store["list"].append(2)
    store["gone"] = None
    del store["gone"]
    assert dict(Store(tmp_path / "deep" / "a.json")) == {"list": [1]}


@pytest.mark.parametrize("value", [object(), float("nan"), "x" * (MAX_BYTES + 1)])
def test_a_store_refuses_what_it_cannot_hold_and_keeps_the_rest(tmp_path, value):
    store = Store(tmp_path / "a.json")
    store["kept"] = 1
    with pytest.raises(ValueError):  # noqa: PT011 - three different reasons
        store["bad"] = value
    assert dict(store) == dict(Store(tmp_path / "a.json")) == {"kept": 1}


def test_an_unreadable_store_is_put_aside(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("{half")
    store = Store(path)
    assert dict(store) == {}
    store["new"] = 1
    assert path.with_suffix(".broken").read_text() == "{half"


async def test_a_handler_learns_of_the_voice_what_was_measured(assistant, plugin):
    @plugin.intent("who is there")
    async def who(turn: Turn) -> str:
        assert turn.speaker is turn.speaker
        return "A child." if (turn.speaker.pitch_hz or 0) > 250 else "I cannot tell."

    assert (await assistant.hear("who is there")).reply == "I cannot tell."
    turn = await assistant.hear("who is there", speaker=Speaker(pitch_hz=300))
    assert turn.reply == "A child."
