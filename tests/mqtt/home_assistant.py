"""Run by an interpreter that has Home Assistant: holds a discovery payload against its schemas.

Reads the payload from standard input; prints, as JSON, what each entity's templates make of the
examples of its topics.
"""

import asyncio
import importlib
import json
import os
import sys
import tempfile

from homeassistant.core import HomeAssistant
from homeassistant.helpers import frame
from homeassistant.helpers.template import Template

NEWER = {"default_entity_id"}
"""Keys that older releases pass over."""


async def check() -> None:
    given = json.load(sys.stdin)
    payload, examples = given["payload"], given["examples"]
    hass = HomeAssistant(tempfile.gettempdir())
    if hasattr(frame, "async_setup"):  # since 2025.3
        frame.async_setup(hass)
    schemas = importlib.import_module("homeassistant.components.mqtt.schemas")
    schemas.DEVICE_DISCOVERY_SCHEMA(payload)
    shared = {key: payload[key] for key in ("device", "origin", "availability", "qos")}
    shown = {}
    for key, component in payload["components"].items():
        platform = importlib.import_module(f"homeassistant.components.mqtt.{component['platform']}")
        config = {name: value for name, value in component.items() if name != "platform"}
        known = platform.DISCOVERY_SCHEMA(config | shared)
        if unknown := config.keys() - known.keys() - NEWER:
            raise SystemExit(f"{key}: Home Assistant does not know {unknown}")
        if "value_template" in component:
            template = Template(component["value_template"], hass)
            example = examples[component["state_topic"]]
            shown[key] = template.async_render_with_possible_json_value(example)
        if "command_template" in component:
            template = Template(component["command_template"], hass)
            value = 70.0 if component["platform"] == "number" else given["said"]
            shown[f"{key} command"] = template.async_render({"value": value}, parse_result=False)
    print(json.dumps(shown), flush=True)  # noqa: T201 - it is what the test reads
    os._exit(0)  # its threads would not end by themselves


asyncio.run(check())
