"""Plugins replaced while the assistant runs, as a whole or not at all."""

import asyncio
from pathlib import Path

import pytest

from assistant.origins import POLL_S, on_change
from assistant.settings import PluginSettings
from assistant.testing import Assistant, FakeClock

LAMP = """
from assistant.plugin import Plugin, Turn

plugin = Plugin("lamp"{options})

@plugin.intent("start glowing", examples=["start glowing"])
async def on(turn: Turn) -> str:
    return "{says}"

@plugin.on_start
async def start(home) -> None:
    await home.event("start", version="{says}")

@plugin.on_stop
async def stop(home) -> None:
    await home.event("stop", version="{says}")
"""


def save(folder: Path, says: str, options: str = "", code: str = LAMP) -> Path:
    path = folder / "lamp.py"
    path.write_text(code.format(says=says, options=options))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "drop-in"
    made.mkdir()
    return made


@pytest.fixture
def assistant(tmp_path: Path, folder: Path) -> Assistant:
    return Assistant(tmp_path, PluginSettings(folder=folder))


async def reply(assistant: Assistant) -> str | None:
    return (await assistant.hear("start glowing")).reply


def told(assistant: Assistant) -> list[tuple[str, str]]:
    return [(kind, fields.get("version", "")) for kind, fields in assistant.events]


async def test_a_saved_plugin_answers_in_its_new_version_after_the_old_one_has_stopped(
    assistant, folder
):
    save(folder, "One.")
    assert await reply(assistant) == "One."
    save(folder, "Two.")
    changed = await assistant.reload()
    assert (changed.started, changed.stopped, changed.problems) == (("lamp",), (), ())
    assert await reply(assistant) == "Two."
    order = [("start", "One."), ("stop", "One."), ("start", "Two."), ("reloaded", "")]
    assert told(assistant) == order


@pytest.mark.parametrize(
    ("broken", "line", "reason"),
    [
        ("from nowhere import nothing", 1, "nowhere"),
        ("x = (", 1, "SyntaxError"),
        (LAMP.replace('"start glowing", ', '"start (glowing", '), 6, "start (glowing"),
        (LAMP.replace('["start glowing"]', '["stop glowing"]'), 6, "'stop glowing' fits none"),
        (LAMP.replace("turn: Turn", "turn: Turn, word: str"), 6, "fits none|unsaid"),
    ],
)
async def test_a_broken_version_is_told_by_file_and_line_and_the_old_one_goes_on(
    assistant, folder, broken, line, reason
):
    save(folder, "One.")
    assert await reply(assistant) == "One."
    path = save(folder, "Two.", code=broken)
    changed = await assistant.reload()
    [problem] = changed.problems
    assert f"{path}:{line}" in problem.reason
    assert any(each in problem.reason for each in reason.split("|"))
    assert await reply(assistant) == "One."
    [*_, (kind, fields)] = assistant.events
    assert (kind, fields["reason"]) == ("error", problem.reason)
    assert ("stop", "One.") not in told(assistant)
    save(folder, "Three.")
    assert (await assistant.reload()).problems == ()
    assert await reply(assistant) == "Three."


async def test_what_has_not_changed_is_left_alone(assistant, folder):
    save(folder, "One.")
    await assistant.hear("set a timer for five minutes")
    changed = await assistant.reload()
    assert (changed.started, changed.stopped) == ((), ())
    assert told(assistant) == [("start", "One.")]
    assert (await assistant.hear("start glowing")).scheduled == ("timer/",)


async def test_files_come_and_go(assistant, folder):
    assert await reply(assistant) is None
    path = save(folder, "One.")
    assert (await assistant.reload()).started == ("lamp",)
    assert await reply(assistant) == "One."
    path.unlink()
    assert (await assistant.reload()).stopped == ("lamp",)
    assert await reply(assistant) is None
    assert told(assistant)[-2:] == [("stop", "One."), ("unloaded", "")]


async def test_a_plugin_may_refuse_to_be_reloaded(assistant, folder):
    save(folder, "One.", ", reloadable=False")
    assert await reply(assistant) == "One."
    save(folder, "Two.", ", reloadable=False")
    [problem] = (await assistant.reload()).problems
    assert "start the assistant again" in problem.reason
    assert await reply(assistant) == "One."


async def test_a_running_turn_ends_in_the_version_it_began_with(assistant, folder):
    slow = LAMP.replace(
        'return "{says}"',
        'await turn.http.get("http://lamp")\n    return "{says}"',
    )
    save(folder, "One.", code=slow)
    asked, go = asyncio.Event(), asyncio.Event()

    async def get(url: str) -> None:
        asked.set()
        await go.wait()

    assistant.http.get = get
    hearing = asyncio.create_task(assistant.hear("start glowing"))
    await asyncio.wait_for(asked.wait(), 20)
    save(folder, "Two.")
    reloading = asyncio.create_task(assistant.reload())
    await asyncio.wait({reloading}, timeout=0.2)
    assert not reloading.done()
    assert ("stop", "One.") not in told(assistant)
    go.set()
    assert (await hearing).reply == "One."
    await reloading
    assert await reply(assistant) == "Two."


async def test_a_package_is_reloaded_with_its_modules(tmp_path, monkeypatch):
    site = tmp_path / "site"
    package, about = site / "lamp_package", site / "lamp_package-1.dist-info"
    for made in (package, about):
        made.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: lamp-package\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[assistant.plugins]\nlamp = lamp_package:plugin\n")
    (package / "words.py").write_text('SAYS = "One."\n')
    code = "from lamp_package.words import SAYS\n" + LAMP.format(says="x", options="")
    (package / "__init__.py").write_text(code.replace('return "x"', "return SAYS"))
    monkeypatch.syspath_prepend(str(site))
    assistant = Assistant(tmp_path)
    assert await reply(assistant) == "One."
    (package / "words.py").write_text('SAYS = "Two."\n')
    assert (await assistant.reload()).started == ("lamp",)
    assert await reply(assistant) == "Two."


async def test_saving_a_file_is_noticed(folder):
    path, clock, seen = save(folder, "One."), FakeClock(), asyncio.Queue()

    async def act() -> None:
        seen.put_nowait(path.read_text())

    watching = asyncio.create_task(on_change(PluginSettings(folder=folder), clock, act))
    try:
        while not clock._sleepers:  # noqa: ASYNC110 - it looks at files on a thread
            await asyncio.sleep(0)
        assert "One." in seen.get_nowait()
        save(folder, "Two, longer.")
        await clock.advance(POLL_S)
        assert "Two, longer." in await asyncio.wait_for(seen.get(), 20)
    finally:
        watching.cancel()
