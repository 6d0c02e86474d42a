"""Plugins on threads of their own: one that blocks costs only itself."""

import asyncio
import threading

import pytest

from assistant import stage
from assistant.intents import Intents
from assistant.loading import load_plugins
from assistant.outside import Collector
from assistant.plugin import Plugin, Turn
from assistant.settings import PluginSettings
from assistant.turn import Turn as Spoken


class House:
    """Two plugins on threads: one of the test's, and one that always answers."""

    def __init__(self, tmp_path, monkeypatch):
        monkeypatch.setattr(stage, "GRACE_S", 0.05)
        self.world, self.plugin, self._folder = Collector(), Plugin("probe"), tmp_path
        self.calm = Plugin("calm")

        @self.calm.intent("be calm")
        async def calm(turn: Turn) -> str:
            return threading.current_thread().name

    async def __aenter__(self):
        settings = PluginSettings(folder=self._folder / "none")
        loaded, _ = load_plugins(settings, extra=[self.plugin, self.calm])
        mine = [each for each in loaded if each.plugin in (self.plugin, self.calm)]
        self.intents = Intents(mine, state_folder=self._folder, timeout_s=5)
        await self.intents.start(self.world, threads=True)
        return self

    async def __aexit__(self, *_):
        await self.intents.stop()

    async def runs_again(self, plugin):
        """Return once the thread of a plugin that blocked it takes work again."""
        thread = self.intents._cast._players[plugin]._stage
        waited = asyncio.run_coroutine_threadsafe(asyncio.sleep(0), thread._loop)
        await asyncio.wrap_future(waited)

    async def hear(self, words):
        return await self.intents.handle(self.intents.match(words), Spoken("1", "attic", words))


@pytest.fixture
def house(tmp_path, monkeypatch):
    return House(tmp_path, monkeypatch)


@pytest.mark.parametrize("exit_", [SystemExit(3), KeyboardInterrupt()])
@pytest.mark.parametrize("in_a_task", [False, True])
async def test_a_handler_that_exits_costs_only_its_turn(house, exit_, in_a_task):
    async def leave() -> str:
        raise exit_

    @house.plugin.intent("do it")
    async def handler(turn: Turn) -> str:
        return await (asyncio.create_task(leave()) if in_a_task else leave())

    @house.plugin.intent("do that")
    async def other(turn: Turn) -> str:
        return "Done."

    async with house, asyncio.timeout(3):
        answer = await house.hear("do it")
        assert type(exit_).__name__ in answer.error
        assert (await house.hear("do that")).text == "Done."


async def test_every_plugin_has_a_thread_and_reaches_the_world_from_it(house):
    @house.plugin.intent("do it")
    async def handler(turn: Turn) -> str:
        await turn.mqtt.publish("home/lamp", "ON")
        await turn.say("Wait.")
        await turn.event("lit", room=turn.site)
        turn.store["n"] = turn.store.get("n", 0) + 1
        return f"{threading.current_thread().name} {turn.store['n']}"

    async with house:
        assert (await house.hear("do it")).text == "plugin probe 1"
        assert (await house.hear("do it")).text == "plugin probe 2"
        assert (await house.hear("be calm")).text == "plugin calm"
    assert house.world.published == [("home/lamp", "ON")] * 2
    assert house.world.said == [("attic", "Wait.")] * 2
    assert house.world.events[0] == ("lit", {"plugin": "probe", "room": "attic"})


async def test_a_handler_that_blocks_is_named_and_the_others_go_on(house):
    release, done = threading.Event(), threading.Event()

    @house.plugin.intent("do it", timeout=0.05)
    async def handler(turn: Turn) -> str:
        release.wait(30)
        done.set()
        return "Done."

    async with house:
        blocked = await house.hear("do it")
        line = handler.__code__.co_firstlineno + 2
        assert blocked.text == "The probe plugin failed."
        assert f"blocks at {__file__}:{line}" in blocked.error
        assert (await house.hear("be calm")).text == "plugin calm"
        assert "still blocks" in (await house.hear("do it")).error
        release.set()
        assert await asyncio.to_thread(done.wait, 20)
        await asyncio.wait_for(house.runs_again("probe"), 20)
        assert (await house.hear("do it")).text == "Done."


async def test_a_cancelled_turn_cancels_its_handler_on_the_thread(house):
    began, ended = threading.Event(), threading.Event()

    @house.plugin.intent("do it")
    async def handler(turn: Turn) -> str:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    async with house:
        hearing = asyncio.create_task(house.hear("do it"))
        await asyncio.to_thread(began.wait, 20)
        hearing.cancel()
        assert await asyncio.to_thread(ended.wait, 20)


async def test_what_is_scheduled_on_the_thread_happens(house):
    rang = asyncio.Event()

    @house.plugin.intent("do it")
    async def handler(turn: Turn) -> str:
        async def ring() -> str:
            return "Ding."

        turn.schedule(0.01, ring, "bell")
        return "Waiting."

    async def say(site: str, text: str, *, plugin: str) -> None:
        assert (site, text, plugin) == ("attic", "Ding.", "probe")
        rang.set()

    house.world.say = say
    async with house:
        await house.hear("do it")
        await asyncio.wait_for(rang.wait(), 20)
