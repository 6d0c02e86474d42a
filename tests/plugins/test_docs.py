import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from assistant.conflicts import conflicts
from assistant.intents import Intents
from assistant.loading import load_plugins
from assistant.plugin import Plugin
from assistant.settings import PluginSettings

PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"
SNIPPETS = re.findall(
    r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)
DICE, SAUNA, PIZZA, TEA, TEST = SNIPPETS


def run(name, code, monkeypatch):
    module = ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(code, f"{PAGE}#{name}", "exec"), vars(module))  # noqa: S102 - our own page
    return module


@pytest.mark.parametrize("code", [DICE, SAUNA, PIZZA, TEA], ids=["dice", "sauna", "pizza", "tea"])
async def test_every_plugin_on_the_page_answers_its_examples(assistant, monkeypatch, code):
    plugin = run("snippet", code, monkeypatch).plugin
    loaded, problems = load_plugins(PluginSettings(folder=Path("/nowhere")), extra=[plugin])
    assert problems == []
    intents = Intents(loaded, state_folder=Path("/nowhere"), timeout_s=1)
    assert [str(conflict) for conflict in conflicts(intents)] == []
    assistant.add(plugin)
    for handler in plugin.handlers:
        for sentence in handler.examples:
            assert (await assistant.hear(sentence)).error is None


async def test_the_test_on_the_page_passes(assistant, monkeypatch):
    assert isinstance(run("tea", TEA, monkeypatch).plugin, Plugin)
    module = run("test_tea", TEST, monkeypatch)
    await module.test_tea_is_ready_after_four_minutes(assistant)


async def test_the_conversation_on_the_page_takes_place(assistant, monkeypatch):
    assistant.add(run("pizza", PIZZA, monkeypatch).plugin)
    for said, reply in (
        ("order a pizza", "Small or large?"),
        ("a large one", "A large pizza, right?"),
        ("yes", "It is on its way."),
        ("order a small pizza", "A small pizza, right?"),
        ("no", "No pizza, then."),
    ):
        assert (await assistant.hear(said)).reply == reply


def test_every_bundled_plugin_is_on_the_page_with_words_that_it_understands():
    loaded, _ = load_plugins(PluginSettings(folder=Path("/nowhere")))
    intents = Intents(loaded, state_folder=Path("/nowhere"), timeout_s=1)
    _, _, section = PAGE.read_text(encoding="utf-8").partition("## The plugins that come with it")
    rows = re.findall(r'^\| `(\w+)` \| ("[^|]*") \|', section, re.MULTILINE)
    assert {name for name, _ in rows} == {each.plugin.name for each in loaded}
    for name, sayings in rows:
        for said in re.findall(r'"([^"]+)"', sayings):
            assert intents.match(said)[0].intent.startswith(f"{name}.")
