"""What Home Assistant is told, held against a strict schema of our own, and when it is told."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from assistant.errors import UserError
from assistant.mqtt.catalogue import catalogue
from assistant.mqtt.discovery import Discovery
from assistant.mqtt.payloads import Activity, EventType
from assistant.mqtt.topics import Knob, Topics
from assistant.settings import load
from tests.support.broker import Mosquitto
from tests.support.bus import connected, heard, running_bus

ROOT = "assistant/kitchen"
TOPICS = Topics("assistant", "kitchen")
DISCOVERY = Discovery(TOPICS, "0a1b2c3d4e5f")

COMMON = {"platform", "unique_id", "default_entity_id", "name"}
REQUIRED = {
    "sensor": {"state_topic"},
    "binary_sensor": {"state_topic"},
    "event": {"state_topic", "event_types"},
    "switch": {"command_topic"},
    "button": {"command_topic"},
    "notify": {"command_topic"},
    "number": {"command_topic", "min", "max"},
    "select": {"command_topic", "options"},
}
SHOWN = {"icon", "device_class", "entity_category"}
READ = {"state_topic", "value_template", "json_attributes_topic", "json_attributes_template"}
ALLOWED = {
    "sensor": SHOWN | READ | {"options", "state_class", "unit_of_measurement"},
    "binary_sensor": SHOWN | READ,
    "event": SHOWN | READ | {"event_types"},
    "switch": SHOWN | READ | {"command_topic"},
    "button": SHOWN | {"command_topic", "payload_press"},
    "notify": SHOWN | {"command_topic", "command_template"},
    "number": SHOWN
    | READ
    | {"command_topic", "command_template", "min", "max", "step", "unit_of_measurement"},
    "select": SHOWN | READ | {"command_topic", "options"},
}
ENTITIES = {
    "state": "sensor",
    "speaking": "binary_sensor",
    "conversation": "event",
    "mute": "switch",
    "listen": "button",
    "cancel": "button",
    "say": "notify",
    "sensitivity": "number",
    "patience": "select",
    "model": "select",
    "problem": "binary_sensor",
    "latency": "sensor",
    "memory": "sensor",
}
PUBLISHED = {
    *(TOPICS.state, TOPICS.event, TOPICS.mute, TOPICS.info, TOPICS.metrics),
    *map(TOPICS.knob, Knob),
}


def components(discovery: Discovery = DISCOVERY) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = discovery.payload()["components"]
    return found


def test_the_device_has_these_entities_and_no_other():
    assert {key: component["platform"] for key, component in components().items()} == ENTITIES


@pytest.mark.parametrize("key", ENTITIES)
def test_every_entity_has_what_its_platform_needs_and_nothing_it_does_not_know(key: str):
    component = components()[key]
    platform = component["platform"]
    assert component.keys() >= COMMON | REQUIRED[platform]
    assert component.keys() <= COMMON | ALLOWED[platform]
    assert re.fullmatch(platform + r"\.[a-z0-9]+(_[a-z0-9]+)*", component["default_entity_id"])
    assert "object_id" not in component


@pytest.mark.parametrize("key", ENTITIES)
def test_every_entity_reads_what_is_published_and_asks_what_is_obeyed(key: str):
    component = components()[key]
    read = {component[name] for name in component if name.endswith(("state_topic", "utes_topic"))}
    assert read <= PUBLISHED
    assert {component[name] for name in component if name == "command_topic"} <= {*TOPICS.incoming}


def test_the_device_says_who_it_is_who_says_so_and_when_it_is_there():
    payload = DISCOVERY.payload()
    assert payload.keys() == {"device", "origin", "availability", "qos", "components"}
    assert payload["device"]["identifiers"] == ["assistant_0a1b2c3d4e5f"]
    assert payload["origin"]["name"] == "assistant"
    assert payload["origin"]["sw_version"] == payload["device"]["sw_version"]
    assert payload["availability"] == [{"topic": "assistant/kitchen/status"}]
    assert payload["qos"] == 1
    assert re.fullmatch(r"homeassistant/device/[a-zA-Z0-9_-]+/config", DISCOVERY.topic)


def test_identities_are_unique_and_outlive_a_new_name_of_the_site():
    renamed = Discovery(Topics("assistant", "cellar"), DISCOVERY.device_id)
    identities = [component["unique_id"] for component in components().values()]
    assert len({*identities}) == len(identities)
    assert identities == [component["unique_id"] for component in components(renamed).values()]
    assert renamed.topic == DISCOVERY.topic


@pytest.mark.parametrize(
    ("site", "entity"),
    [
        ("Kitchen-2", "sensor.assistant_kitchen_2_state"),
        ("_a__b_", "sensor.assistant_a_b_state"),
        ("--", "sensor.assistant_state"),
    ],
)
def test_any_site_makes_an_entity_id_that_home_assistant_takes(site: str, entity: str):
    found = components(Discovery(Topics("assistant", site), "0a1b"))
    assert found["state"]["default_entity_id"] == entity


def test_sensors_with_a_unit_have_the_class_it_belongs_to():
    found = components()
    assert found["state"]["options"] == ["idle", "listening", "processing", "responding"]
    assert found["conversation"]["event_types"] == [kind.value for kind in EventType]
    units = {"latency": ("duration", "ms"), "memory": ("data_size", "MiB")}
    for key, (kind, unit) in units.items():
        assert (found[key]["device_class"], found[key]["unit_of_measurement"]) == (kind, unit)


@pytest.mark.skipif(
    "ASSISTANT_TEST_HOMEASSISTANT" not in os.environ,
    reason="set ASSISTANT_TEST_HOMEASSISTANT to a Python that has homeassistant and paho-mqtt",
)
def test_home_assistant_itself_takes_it_and_reads_our_payloads():
    said = '{it\'s "so"}'
    examples = {entry.topic: entry.example for entry in catalogue(TOPICS)}
    given = {"payload": DISCOVERY.payload(), "examples": examples, "said": said}
    script = Path(__file__).parent / "home_assistant.py"
    command = [os.environ["ASSISTANT_TEST_HOMEASSISTANT"], str(script)]
    ran = subprocess.run(
        command, input=json.dumps(given), capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    shown = json.loads(ran.stdout)
    assert json.loads(shown.pop("say command")) == {"text": said}
    assert shown.pop("sensitivity command") == "0.3"
    assert shown == {
        "state": "listening",
        "speaking": "ON",
        "problem": "OFF",
        "latency": "96.4",
        "memory": "312.5",
        "sensitivity": "50",
    }


def test_the_models_can_be_chosen_by_their_names():
    assert components()["model"]["options"] == ["default"]
    found = components(Discovery(TOPICS, "0a1b", models=("big", "small")))
    assert found["model"]["options"] == ["default", "big", "small"]


async def test_the_config_is_retained_and_said_before_any_state(
    broker: Mosquitto, state_folder: Path
):
    async with broker.hub() as hub, running_bus(broker.settings, state_folder):
        config, *rest = await heard(hub, 5)
    assert re.fullmatch(r"homeassistant/device/assistant_[0-9a-f]{12}/config", config.topic.value)
    assert json.loads(config.payload)["components"].keys() == ENTITIES.keys()
    names = [message.topic.value.removeprefix(f"{ROOT}/") for message in rest]
    assert names == ["info", "state", "mute", "status"]
    async with broker.hub("homeassistant/#") as late:
        [kept] = await heard(late)
    assert (kept.retain, kept.payload) == (True, config.payload)


async def test_home_assistant_is_told_again_when_it_starts(broker: Mosquitto, state_folder: Path):
    async with running_bus(broker.settings, state_folder) as bus:
        await connected(bus)
        async with broker.client() as hub:
            await hub.subscribe("homeassistant/#", qos=1)
            [config] = await heard(hub)
            await hub.subscribe(f"{ROOT}/#", qos=1)
            await heard(hub, 4)
            await hub.publish("homeassistant/status", "offline", qos=1)
            await hub.publish("homeassistant/status", "online", qos=1)
            said = await heard(hub, 6)
    assert [message.payload for message in said[:2]] == [b"offline", b"online"]
    assert said[2].payload == config.payload
    assert [message.topic.value for message in said[3:]] == [
        f"{ROOT}/info",
        f"{ROOT}/state",
        f"{ROOT}/mute",
    ]


async def test_a_retained_birth_is_old_news(broker: Mosquitto, state_folder: Path):
    async with broker.client() as hub:
        await hub.publish("homeassistant/status", "online", qos=1, retain=True)
    async with (
        broker.hub("homeassistant/device/#", f"{ROOT}/#") as hub,
        running_bus(broker.settings, state_folder) as bus,
    ):
        await heard(hub, 5)
        await hub.publish(f"{ROOT}/listen", qos=1)
        assert await anext(bus.commands())  # everything before it was heard, too
        bus.state(Activity.LISTENING)
        topics = [message.topic.value for message in await heard(hub, 2)]
    assert topics == [f"{ROOT}/listen", f"{ROOT}/state"]


async def test_nothing_is_said_to_home_assistant_when_it_is_switched_off(
    broker: Mosquitto, state_folder: Path
):
    quiet = broker.settings | {"discovery": False}
    async with broker.hub() as hub, running_bus(quiet, state_folder):
        names = [message.topic.value for message in await heard(hub, 4)]
    assert names == [f"{ROOT}/{name}" for name in ("info", "state", "mute", "status")]


@pytest.mark.parametrize("prefix", ["home/#", "/home", "home/", "ho me"])
def test_the_settings_refuse_a_prefix_that_is_no_topic(prefix: str):
    with pytest.raises(UserError, match=r"mqtt\.discovery_prefix"):
        load(overrides={"mqtt": {"discovery_prefix": prefix}})
