"""`assistant mqtt schema` and `docs/mqtt.md`: complete, current, and true of their own examples."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from assistant.cli.mqtt import app
from assistant.mqtt.catalogue import Entry, catalogue
from assistant.mqtt.discovery import Discovery
from assistant.mqtt.recipes import RECIPES
from assistant.mqtt.topics import RequestName, Topics

TOPICS = Topics("assistant", "kitchen")
ENTRIES = {entry.topic: entry for entry in catalogue(TOPICS)}
DOCUMENT = Path(__file__).parents[2] / "docs" / "mqtt.md"


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def published() -> set[str]:
    """Every topic that `Topics` has a property for."""
    properties = [name for name, each in vars(Topics).items() if isinstance(each, property)]
    values = [getattr(TOPICS, name) for name in properties if name != "root"]
    return {value for value in values if isinstance(value, str)}


def test_every_topic_is_in_it():
    discovery = Discovery(TOPICS, "<id>")
    around = {discovery.topic, discovery.birth_topic}
    responses = {TOPICS.response(name) for name in RequestName}
    direct = {TOPICS.utterance_for("engine-1")}
    assert ENTRIES.keys() == published() | {*TOPICS.incoming} | responses | direct | around


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_every_entry_has_a_meaning_a_schema_and_an_example_that_obeys_it(entry: Entry):
    described = entry.describe()
    assert described["meaning"].endswith(".")
    assert described["direction"] == ("in" if entry.incoming else "out")
    assert entry.json or entry.text
    if entry.json:
        assert type(entry.json).model_validate_json(entry.example, strict=False) == entry.json
        assert json.loads(entry.example)["v"] == 1


def test_the_schema_is_keyed_by_topic():
    whole: dict[str, Any] = json.loads(run("schema"))
    reply = whole["assistant/<site>/reply"]
    assert (reply["direction"], reply["retained"], reply["qos"]) == ("out", False, 1)
    assert reply["schema"]["properties"]["seq"]["minimum"] == 0
    mute = whole["assistant/<site>/mute/set"]["schema"]["anyOf"]
    assert [shape["properties"]["muted"]["type"] for shape in mute[:1]] == ["boolean"]
    assert mute[1]["enum"] == ["ON", "OFF", "true", "false"]


def test_every_field_is_explained():
    for line in run("schema", "--markdown").splitlines():
        if re.match(r"\| `[a-z_.]+` \|", line) and not line.startswith("| `timings_ms."):
            assert not line.endswith("|  |"), line


def test_the_document_is_the_present_one():
    assert DOCUMENT.read_text(encoding="utf-8") == run("schema", "--markdown")


def test_the_examples_use_topics_and_entities_that_exist():
    topics = {*re.findall(r"assistant/kitchen/[a-z/]+[a-z]", RECIPES)}
    assert topics <= ENTRIES.keys()
    components = Discovery(TOPICS, "0a1b").payload()["components"].values()
    entities = {*re.findall(r"\w+\.assistant_kitchen_\w+", RECIPES)}
    assert entities == {component["default_entity_id"] for component in components}


def test_the_automation_for_home_assistant_mutes_while_it_speaks_and_no_longer():
    [automation] = re.findall(r"```yaml\n(.*?)```", RECIPES, re.DOTALL)
    speak, _ = yaml.safe_load(automation)["automation"]
    _, mute, say, wait, unmute = speak["actions"]
    [muting], [unmuting, _] = mute["then"], unmute["then"]
    assert (muting["action"], unmuting["action"]) == ("switch.turn_on", "switch.turn_off")
    assert muting["target"] == unmuting["target"]
    assert say["action"] == "tts.speak"
    [trigger] = wait["wait_for_trigger"]
    assert trigger["entity_id"] == say["data"]["media_player_entity_id"]
    assert mute["if"] == unmute["if"]  # who muted it by hand still has it muted


def test_the_flow_for_node_red_is_json_whose_wires_lead_somewhere():
    [flow] = re.findall(r"```json\n(.*?)```", RECIPES, re.DOTALL)
    nodes = {node["id"]: node for node in json.loads(flow)}
    for node in nodes.values():
        assert {wire for output in node.get("wires", []) for wire in output} <= nodes.keys()
        assert node.get("broker") in {None, "hub", "localhost"}
