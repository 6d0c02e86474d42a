"""Devices, heating, players and volume."""

from pathlib import Path

import pytest

from assistant.settings import PluginSettings
from assistant.testing import Assistant


@pytest.mark.parametrize(
    ("said", "topic", "payload"),
    [
        ("turn on the coffee machine", "home/switch/coffee_machine/set", "ON"),
        ("please switch the fan off", "home/switch/fan/set", "OFF"),
        ("open the blinds", "home/cover/blinds/set", "OPEN"),
        ("lower the awning", "home/cover/awning/set", "CLOSE"),
        ("stop the garage door", "home/cover/garage_door/set", "STOP"),
        ("open the blinds to 40%", "home/cover/blinds/position/set", "40"),
        ("run movie night", "home/scene/movie_night/set", "ON"),
        ("turn the heating off", "home/climate/heating/mode/set", "off"),
        ("turn on the air conditioning", "home/climate/air_conditioning/mode/set", "cool"),
        ("turn on the thermostat", "home/climate/thermostat/mode/set", "heat"),
        ("close the blinds 30 percent", "home/cover/blinds/position/set", "70"),
        ("close the blinds to 30 percent", "home/cover/blinds/position/set", "30"),
        ("open the blinds 30 percent", "home/cover/blinds/position/set", "30"),
        ("set the thermostat to 19.5 degrees", "home/climate/thermostat/temperature/set", "19.5"),
        ("set the temperature to 21 degrees", "home/climate/heating/temperature/set", "21"),
        (
            "set the temperature to 70 degrees fahrenheit",
            "home/climate/heating/temperature/set",
            "21.1",
        ),
        ("it's too cold", "home/climate/heating/temperature/set", "21"),
        ("it's too hot in here", "home/climate/heating/temperature/set", "19"),
    ],
)
async def test_a_device_is_told_over_mqtt(assistant, said, topic, payload):
    turn = await assistant.hear(said)
    assert turn.published == [(topic, payload)]
    assert turn.error is None


async def test_warmer_and_cooler_go_on_from_what_was_set(assistant):
    await assistant.hear("set the heating to 22 degrees")
    assert (await assistant.hear("it is too cold in here")).published[0][1] == "23"
    assert (await assistant.hear("make it a little cooler")).published[0][1] == "22"
    await assistant.restart()
    assert (await assistant.hear("make it warmer")).reply == "The heating is set to 23 degrees."


async def test_no_heating_is_set_beyond_its_range(assistant):
    turn = await assistant.hear("set the heating to 90 degrees")
    assert turn.reply == "The heating can be set to 5 to 35 degrees."
    assert turn.published == []
    turn = await assistant.hear("set the heating to 90 degrees fahrenheit")
    assert turn.reply == "The heating is set to 32.2 degrees."


async def test_a_home_may_count_in_fahrenheit(tmp_path):
    config = {"climate": {"unit": "fahrenheit"}}
    assistant = Assistant(tmp_path, PluginSettings(folder=tmp_path / "none", config=config))
    assert (await assistant.hear("it is too cold")).published[0][1] == "69"
    assert (await assistant.hear("set the heating to 70 degrees")).published[0][1] == "70"
    turn = await assistant.hear("set the heating to 20 degrees celsius")
    assert turn.published[0][1] == "68"
    turn = await assistant.hear("set the heating to 20 degrees")
    assert turn.reply == "The heating can be set to 41 to 95 degrees."


async def test_several_things_are_on_and_one_is(assistant):
    assert (await assistant.hear("turn on the speakers")).reply == "The speakers are on."
    assert (await assistant.hear("turn on the fan")).reply == "The fan is on."


async def test_a_light_is_not_dimmed_to_what_it_should_be_dimmed_by(assistant):
    turn = await assistant.hear("dim the bedroom light by 20 percent")
    assert (turn.intent, turn.published) == (None, [])


async def test_devices_and_topics_are_the_users(tmp_path):
    home = {
        "switches": ["kettle", "pump"],
        "switch": "zigbee2mqtt/{name}-plug/set",
        "topics": [["pump", "garden/pump"]],
    }
    settings = PluginSettings(folder=tmp_path / "none", config={"home": home})
    assistant = Assistant(tmp_path, settings)
    turn = await assistant.hear("turn on the kettle")
    assert turn.published == [("zigbee2mqtt/kettle-plug/set", "ON")]
    assert (await assistant.hear("turn on the pump")).published == [("garden/pump", "ON")]
    assert (await assistant.hear("turn on the fan")).intent is None


PROGRAM = """#!/bin/sh
echo "$(basename "$0") $*" >> "{log}"
case "$*" in *list*) printf '{players}' ;; esac
exit {code}
"""


class Programs:
    """`busctl` and `pactl` that only note how they were called."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._log = folder, folder / "log"

    def install(self, players: str = "", code: int = 0) -> None:
        for name in ("busctl", "pactl"):
            path = self.folder / name
            path.write_text(PROGRAM.format(log=self._log, players=players, code=code))
            path.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []


@pytest.fixture
def programs(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    made = Programs(folder)
    made.install()
    return made


PLAYER = r":1.7 12 x\norg.mpris.MediaPlayer2.mpd 12 mpd\n"


@pytest.mark.parametrize(
    ("said", "key"),
    [("pause the music", "Pause"), ("next song", "Next"), ("skip this track", "Next")],
)
async def test_media_keys_reach_the_first_player(assistant, programs, said, key):
    programs.install(PLAYER)
    assert (await assistant.hear(said)).reply == "Okay."
    assert programs.calls[1] == (
        "busctl --user call org.mpris.MediaPlayer2.mpd /org/mpris/MediaPlayer2 "
        f"org.mpris.MediaPlayer2.Player {key}"
    )


@pytest.mark.parametrize(
    ("said", "call"),
    [
        ("turn the volume up", "set-sink-volume @DEFAULT_SINK@ +10%"),
        ("make it a bit quieter", "set-sink-volume @DEFAULT_SINK@ -10%"),
        ("set the volume to thirty percent", "set-sink-volume @DEFAULT_SINK@ 30%"),
        ("mute the sound", "set-sink-mute @DEFAULT_SINK@ 1"),
    ],
)
async def test_the_volume_is_changed(assistant, programs, said, call):
    assert (await assistant.hear(said)).error is None
    assert programs.calls == [f"pactl {call}"]


async def test_without_players_and_programs_it_says_so(assistant, programs, monkeypatch):
    assert (await assistant.hear("pause the music")).reply == "No player is running."
    programs.install(code=1)
    assert (await assistant.hear("volume up")).reply == "I can't reach the sound server."
    monkeypatch.setenv("PATH", str(programs.folder.parent))
    assert "busctl is missing" in (await assistant.hear("pause the music")).reply
