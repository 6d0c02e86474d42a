import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from assistant.cli.plugins import app
from assistant.errors import UserError

CLASH = """
from assistant.plugin import Plugin, Turn

plugin = Plugin("clash")

@plugin.intent("what time is it", examples=["what time is it"])
async def time(turn: Turn) -> str:
    return "Late."
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ASSISTANT_PLUGINS__FOLDER", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "300")
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, words)


def test_list_shows_what_is_loaded_and_what_is_not(folder):
    (folder / "broken.py").write_text('raise ValueError("[red]")')
    result = run("list")
    assert result.exit_code == 0
    assert "switch_all" in result.output
    assert "ValueError: [red] at" in result.output
    assert "broken.py:1" in result.output


def test_check_passes_for_the_bundled_plugins(folder):
    result = run("check")
    assert (result.exit_code, result.output.count("\n")) == (0, 1)
    assert "all as meant" in result.output


def test_check_names_both_sides_of_a_conflict_and_fails(folder):
    path = folder / "clash.py"
    path.write_text(CLASH)
    result = run("check")
    assert result.exit_code == 1
    [clashing] = [line for line in result.output.splitlines() if line.startswith("clash.")]
    assert f"{path}:6" in clashing
    assert "plugins/clock.py:" in clashing


def test_sentences_are_json_lines_for_training(folder):
    result = run("sentences", "--limit", "40", "--seed", "7")
    lines = [json.loads(line) for line in result.output.splitlines()]
    assert len(lines) == 40
    assert all(line.keys() == {"text", "intent", "slots"} for line in lines)
    assert result.output == run("sentences", "--limit", "40", "--seed", "7").output


def test_a_new_plugin_is_sound_and_its_test_passes(folder):
    result = run("new", "coffee_machine")
    assert (result.exit_code, result.output.count("wrote")) == (0, 2)
    assert run("check").exit_code == 0
    assert "1 passed" in own_tests(folder, ".")


def own_tests(folder, what):
    """What pytest says of an author's own tests, without any configuration."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", what]
    tested = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return tested.stdout + tested.stderr


SELF_TESTING = """from assistant.plugin import Plugin, Turn

bell = Plugin("bell")


@bell.intent("ring the {place} bell", examples={"ring the hall bell": {"place": "hall"}})
async def ring(turn: Turn, place: str) -> str:
    await turn.mqtt.publish(f"bells/{place}", "ring")
    return "Ringing."


async def test_it_rings(assistant):
    turn = await assistant.hear("ring the hall bell")
    assert (turn.intent, turn.published) == ("bell.ring", [("bells/hall", "ring")])


async def test_somebody_else_rings(assistant):
    assert (await assistant.hear("ring the hall bell")).reply == "Tom rings."
"""


def test_a_plugin_may_hold_its_own_tests(tmp_path):
    (tmp_path / "bell.py").write_text(SELF_TESTING)
    said = own_tests(tmp_path, "bell.py")
    assert "1 failed, 1 passed" in said, said
    assert "assert 'Ringing.' == 'Tom rings.'" in said


def test_new_answers_are_sound_and_take_nobodys_place(folder):
    result = run("new", "front_door", "--answers")
    assert (result.exit_code, result.output.count("wrote")) == (0, 1)
    assert result.output.endswith("next: assistant plugins check\n")
    assert run("check").exit_code == 0
    assert "front_door" in run("list").output
    elsewhere = folder / "else where"
    elsewhere.mkdir()
    told = run("new", "back_door", "--answers", "--folder", str(elsewhere)).output
    assert told.endswith(f"next: assistant plugins check --folder '{elsewhere}'\n")
    (folder / "mine.toml").write_text("# precious")
    assert "is there already" in str(run("new", "mine", "--answers").exception)
    assert (folder / "mine.toml").read_text() == "# precious"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Coffee", "small letters"),
        ("class", "small letters"),
        ("random", "Python's own"),
        ("clock", "there is a plugin 'clock' already"),
        ("mine", "is there already"),
    ],
)
def test_a_new_plugin_takes_nobodys_place(folder, name, reason):
    (folder / "mine.py").write_text("# precious")
    result = run("new", name)
    assert isinstance(result.exception, UserError)
    assert reason in str(result.exception)
    assert (folder / "mine.py").read_text() == "# precious"


def test_another_folder_may_be_given(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    assert run("new", "tea", "--folder", str(other)).exit_code == 0
    assert "hello" in run("list", "--folder", str(other)).output
    assert "tea" not in run("list").output


@pytest.mark.parametrize("command", ["list", "check", "sentences"])
def test_a_folder_that_is_not_there_is_named(folder, command):
    result = run(command, "--folder", str(folder / "plugin"))
    assert isinstance(result.exception, UserError)
    assert "plugin: no such folder" in str(result.exception)
