"""`assistant mqtt clean`, against a real mosquitto."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from assistant.cli.mqtt import app
from assistant.errors import TransientError, UserError
from assistant.mqtt import cleaning
from assistant.mqtt.cleaning import Cleaned, clean
from assistant.mqtt.places import Place, known, note
from assistant.settings import MqttSettings
from tests.support.broker import Mosquitto
from tests.support.bus import connected, heard, running_bus

ROOT = "assistant/kitchen"
QUIET_S = 0.1


async def cleaned(mqtt: dict[str, Any], state_folder: Path) -> Cleaned:
    settings = MqttSettings.model_validate(mqtt)
    return await clean(settings, "kitchen", state_folder, quiet_s=QUIET_S)


async def test_removes_every_retained_topic_of_this_device_and_no_other(
    broker: Mosquitto, state_folder: Path
):
    async with running_bus(broker.settings, state_folder) as bus:
        await connected(bus)
    others = ("assistant/cellar/status", "homeassistant/device/other/config")
    async with broker.client() as hub:
        for topic in (*others, f"{ROOT}/left/by/an/older/version"):
            await hub.publish(topic, "kept", qos=1, retain=True)
    done = await cleaned(broker.settings, state_folder)
    config, *below = done.topics[-1:] + done.topics[:-1]
    assert re.fullmatch(r"homeassistant/device/assistant_[0-9a-f]{12}/config", config)
    names = ("info", "left/by/an/older/version", "mute", "state", "status")
    assert below == [f"{ROOT}/{name}" for name in names]
    assert not done.running
    async with broker.hub() as late:
        assert {message.topic.value for message in await heard(late, 2)} == {*others}
    assert await cleaned(broker.settings, state_folder) == Cleaned((), running=False)


async def test_what_was_left_under_another_name_is_removed_unless_another_has_that_name_now(
    broker: Mosquitto, state_folder: Path
):
    for site in ("hall", "cellar", "kitchen"):
        async with running_bus(broker.settings, state_folder, site=site) as bus:
            await connected(bus)
    async with broker.client() as hub:
        await hub.publish("assistant/cellar/status", "online", qos=1, retain=True)
    done = await cleaned(broker.settings, state_folder)
    assert {topic.split("/")[1] for topic in done.topics} == {"hall", "kitchen", "device"}
    async with broker.hub("assistant/#") as late:
        left = {message.topic.value.split("/")[1] for message in await heard(late, 3)}
    assert left == {"cellar"}
    async with broker.client() as hub:
        await hub.publish("assistant/cellar/status", "offline", qos=1, retain=True)
    done = await cleaned(broker.settings, state_folder)
    assert {topic.split("/")[1] for topic in done.topics} == {"cellar"}
    assert await cleaned(broker.settings, state_folder) == Cleaned((), running=False)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1]", '[["a"]]', '[["#", "b"]]', '[["$SYS", "b"]]', '[["", "b"]]', "[" * 99_999],
)
def test_places_that_make_no_sense_are_none(tmp_path: Path, text: str):
    (tmp_path / "places.json").write_text(text)
    assert known(tmp_path) == []


def test_only_so_many_places_are_remembered(tmp_path: Path):
    for number in range(100):
        note(tmp_path, Place(f"assistant/{number}", "config"))
    assert [place.root for place in known(tmp_path)] == [f"assistant/{n}" for n in range(36, 100)]


def test_a_folder_that_cannot_be_written_costs_no_more_than_the_memory(tmp_path: Path):
    note(tmp_path / "missing", Place("assistant/kitchen", "config"))
    assert known(tmp_path / "missing") == []


async def test_tells_when_the_assistant_is_there(broker: Mosquitto, state_folder: Path):
    async with running_bus(broker.settings, state_folder) as bus:
        await connected(bus)
        assert (await cleaned(broker.settings, state_folder)).running
        assert bus.connected


async def test_a_broker_that_is_away_or_inside_is_one_line(broker: Mosquitto, state_folder: Path):
    broker.kill()
    with pytest.raises(TransientError, match=r"check mqtt\.host"):
        await cleaned(broker.settings, state_folder)
    with pytest.raises(UserError, match="embedded"):
        await cleaned({"host": "embedded"}, state_folder)


def test_the_command_prints_what_it_removed(
    broker: Mosquitto, state_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    async def leave_something() -> None:
        async with broker.client() as hub:
            await hub.publish(f"{ROOT}/status", "online", qos=1, retain=True)

    asyncio.run(leave_something())
    monkeypatch.setattr(cleaning.clean, "__kwdefaults__", {"quiet_s": QUIET_S})
    given = {"site": "kitchen", "state_folder": str(state_folder)}
    given |= {f"mqtt.{name}": str(value) for name, value in broker.settings.items()}
    arguments = [part for name in given for part in ("--set", f"{name}={given[name]}")]
    first = CliRunner().invoke(app, ["clean", *arguments])
    assert first.stdout == f"removed {ROOT}/status\n"
    assert "stop it first" in first.stderr
    assert CliRunner().invoke(app, ["clean", *arguments]).stdout == "there is nothing to remove\n"
