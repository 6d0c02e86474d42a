import json

import pytest
from typer.testing import CliRunner

from assistant.cli.plugins import app

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
