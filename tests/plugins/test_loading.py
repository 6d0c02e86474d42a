import dataclasses
import textwrap
from pathlib import Path

import pytest
from pydantic import BaseModel
from structlog.testing import capture_logs

import plugins
from assistant import origins
from assistant.loading import load_plugins
from assistant.plugin import API_VERSION, Plugin, Turn
from assistant.settings import PluginSettings

BUNDLED = sorted(path.stem for path in Path(plugins.__file__).parent.glob("[a-z]*.py"))
GOOD = """
from assistant.plugin import Plugin, Turn

plugin = Plugin("good")

@plugin.intent("say hello", examples=["say hello"])
async def hello(turn: Turn) -> str:
    return "Hello."
"""


def load_folder(folder: Path, **settings):
    return load_plugins(PluginSettings(folder=folder, **settings))


def write(folder: Path, name: str, code: str) -> Path:
    path = folder / name
    path.write_text(textwrap.dedent(code))
    return path


def names(loaded):
    return [each.plugin.name for each in loaded]


def test_bundled_plugins_are_found_by_their_entry_points(tmp_path):
    loaded, problems = load_folder(tmp_path / "missing")
    assert names(loaded) == BUNDLED
    assert problems == []


def test_a_file_in_the_folder_is_a_plugin(tmp_path):
    write(tmp_path, "good.py", GOOD)
    write(tmp_path, "_helper.py", "raise RuntimeError")
    write(tmp_path, "test_good.py", "raise RuntimeError")
    loaded, problems = load_folder(tmp_path)
    assert "good" in names(loaded)
    assert problems == []


@pytest.mark.parametrize(
    ("code", "line", "reason"),
    [
        ("import nothing_like_this", 1, "nothing_like_this"),
        ("x = 1\nx = (", 2, "SyntaxError"),
        ("x = 1\n\nraise SystemExit(3)", 3, "SystemExit"),
        ("x = 1", 1, "no module-level Plugin"),
        (GOOD.replace("say hello", "say (hello"), 6, "say (hello"),
        (GOOD.replace("say hello", "say {word}"), 6, "is named 'word'"),
        (GOOD.replace("say hello", "say <word>"), 6, "rule <word>"),
        (GOOD.replace("say hello", "say {word:blue}"), 6, "no kind of slot"),
        (GOOD.replace("say hello", "[hello]"), 6, "matches silence"),
        (GOOD.replace("turn: Turn", "turn: Turn, word: list"), 6, "cannot be a slot"),
        (GOOD.replace("turn: Turn", "turn: Turn, word: str"), 6, "unsaid"),
        (GOOD.replace("turn: Turn", "turn: Turn, word"), 6, "no type annotation"),
        (GOOD.replace("turn: Turn", ""), 6, "takes no turn"),
        (GOOD.replace("async def", "def"), 6, "not an async function"),
        (GOOD.replace('Plugin("good")', 'Plugin("Good one")'), 4, "small letters"),
        (GOOD.replace('("good")', '("good", api=99)'), 4, "update the assistant"),
    ],
)
def test_a_broken_plugin_is_reported_by_file_and_line_and_the_others_go_on(
    tmp_path, code, line, reason
):
    path = write(tmp_path, "broken.py", code)
    loaded, [problem] = load_folder(tmp_path)
    assert names(loaded) == BUNDLED
    assert f"{path}:{line}" in problem.reason
    assert reason in problem.reason
    assert "\n" not in problem.reason


def test_an_import_that_takes_long_is_told_with_file_and_line(tmp_path, monkeypatch):
    monkeypatch.setattr(origins, "SLOW_IMPORT_S", 0.05)
    file = tmp_path / "good.py"
    file.write_text(f"import time\ntime.sleep(0.3)\n{GOOD}")
    with capture_logs() as logs:
        loaded, problems = load_plugins(PluginSettings(folder=tmp_path))
    assert ("good" in names(loaded), problems) == (True, [])
    [line] = [each for each in logs if each["event"] == "still importing a plugin"]
    assert (line["plugin"], line["at"]) == (str(file), f"{file}:2")


def test_of_two_plugins_with_one_name_the_persons_own_is_used_and_both_are_named(tmp_path):
    path = write(tmp_path, "mine.py", GOOD.replace("good", "clock"))
    loaded, [problem] = load_folder(tmp_path)
    [clock] = [each for each in loaded if each.plugin.name == "clock"]
    assert clock.plugin.source.startswith(str(path))
    assert str(path) in problem.reason
    assert "plugins/clock.py:" in problem.reason


def test_a_disabled_plugin_is_not_loaded(tmp_path):
    write(tmp_path, "good.py", GOOD)
    loaded, problems = load_folder(tmp_path, disabled=("good", "clock"))
    assert names(loaded) == [name for name in BUNDLED if name != "clock"]
    assert problems == []


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"lights": {"rooms": 3}}, "plugins.config.lights.rooms"),
        ({"lights": {"rum": []}}, "plugins.config.lights.rum: no such setting"),
        ({"lights": {"rooms": []}}, "nothing to choose from"),
        ({"clock": {"zone": "x"}}, "plugins.config.clock: this plugin has no configuration"),
        ({"klock": {}}, "plugins.config.klock: no plugin has this name"),
    ],
)
def test_a_wrong_configuration_is_named(tmp_path, config, reason):
    _, [problem] = load_folder(tmp_path, config=config)
    assert reason in problem.reason


def test_a_configuration_may_be_a_dataclass_or_a_pydantic_model(tmp_path):
    class Model(BaseModel):
        size: int = 1

    data = dataclasses.make_dataclass("Data", [("size", int, 1)])
    plugins = [Plugin("first", config=Model), Plugin("second", config=data)]
    config = {"first": {"size": "2"}, "second": {"size": 3}}
    settings = PluginSettings(folder=tmp_path, config=config)
    loaded, problems = load_plugins(settings, extra=plugins)
    assert problems == []
    assert [each.config.size for each in loaded[:2]] == [2, 3]


def test_two_handlers_of_one_name_are_refused(tmp_path):
    plugin = Plugin("twice", api=API_VERSION)
    for _ in range(2):

        @plugin.intent("hello")
        async def hello(turn: Turn) -> None: ...

    _, [problem] = load_plugins(PluginSettings(folder=tmp_path), extra=[plugin])
    assert "two handlers are named 'hello'" in problem.reason


def test_a_folder_can_be_loaded_without_the_installed_plugins(tmp_path):
    (tmp_path / "lights.py").write_text(
        "from assistant.plugin import Plugin\n"
        "plugin = Plugin('lights')\n"
        "@plugin.intent('glow', examples=['glow'])\n"
        "async def glow(turn):\n    return 'Glowing.'\n"
    )
    loaded, problems = load_folder(tmp_path, installed=False)
    assert [each.plugin.name for each in loaded] == ["lights"]
    assert not problems
