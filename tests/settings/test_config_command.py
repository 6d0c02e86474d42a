"""`assistant config`: all settings explained, those in force shown, secrets never."""

import json
import os
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assistant.cli.config import app
from assistant.settings import load
from assistant.settings_layers import MASK

FILE = """\
site = "kitchen"

[mqtt]
host = "broker"
password = "314159"

[plugins.config.weather]
api_key = "314159"
password_file = "shown"
place = "a \\"quoted\\" place"
units = { speed = "kn", "rain fall" = 1.5 }
"""


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().startswith("ASSISTANT_"):
            monkeypatch.delenv(name)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "assistant.toml"
    path.write_text(FILE, encoding="utf-8")
    return path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def test_shown_settings_are_a_settings_file_that_means_the_same(path: Path, tmp_path: Path) -> None:
    shown = run("show", "--config", str(path))
    (tmp_path / "again.toml").write_text(shown, encoding="utf-8")
    again = load(tmp_path / "again.toml")

    assert again.model_dump(exclude={"mqtt", "plugins"}) == load(path).model_dump(
        exclude={"mqtt", "plugins"}
    )
    assert again.plugins.config["weather"]["units"] == {"speed": "kn", "rain fall": 1.5}
    assert again.plugins.config["weather"]["place"] == 'a "quoted" place'


def test_shown_settings_say_where_they_were_given(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSISTANT_ENGINE__THREADS", "4")

    lines = run("show", "--config", str(path)).splitlines()

    assert any(line.startswith('site = "kitchen"') and f"file: {path}" in line for line in lines)
    assert any(
        line.startswith("threads = 4") and "environment: ASSISTANT_ENGINE__THREADS" in line
        for line in lines
    )
    assert any(line.startswith("# port =") and line.endswith("# default") for line in lines)


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_secrets_are_masked_and_files_that_hold_them_are_not(
    options: tuple[str, ...], path: Path
) -> None:
    shown = run("show", "--config", str(path), *options)
    settings = json.loads(shown) if options else tomllib.loads(shown)

    assert "314159" not in shown
    assert settings["mqtt"]["password"] == MASK
    weather = settings["plugins"]["config"]["weather"]
    assert (weather["api_key"], weather["password_file"]) == (MASK, "shown")


def test_a_variable_that_is_no_setting_is_pointed_out(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSISTANT_SIGHT", "x")

    assert "# ignored, no such setting: ASSISTANT_SIGHT" in run("show", "--config", str(path))


def test_the_schema_describes_every_section() -> None:
    whole = json.loads(run("schema"))

    assert set(whole["properties"]) >= {"site", "audio", "endpoint", "engine", "mqtt", "plugins"}
    assert whole["$defs"]["MqttSettings"]["properties"]["port"]["description"]


def test_the_documented_table_of_settings_is_the_present_one() -> None:
    document = Path(__file__).parents[2] / "docs" / "settings.md"

    assert run("schema", "--markdown") in document.read_text(encoding="utf-8")
