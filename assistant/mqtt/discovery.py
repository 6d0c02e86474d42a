"""What Home Assistant is told about this assistant, so that its entities appear by themselves."""

import json
import re
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from assistant.mqtt.payloads import Activity, EventType, Lifecycle
from assistant.mqtt.topics import CommandName, Topics


@dataclass(frozen=True, slots=True)
class Discovery:
    """One device with all its entities, in one payload.

    Home Assistant knows the device by `device_id`: it keeps its history when the site is renamed.
    """

    topics: Topics
    device_id: str
    """Letters and digits; the same for ever on one machine."""
    prefix: str = "homeassistant"
    models: tuple[str, ...] = ()
    """Names of `engine.models`, beside the default."""

    @property
    def topic(self) -> str:
        """Where the payload is published, retained."""
        return f"{self.prefix}/device/{self._name}/config"

    @property
    def birth_topic(self) -> str:
        """Where Home Assistant says `online` once it has started."""
        return f"{self.prefix}/status"

    def encode(self) -> bytes:
        """UTF-8 JSON of `payload`."""
        return json.dumps(self.payload(), ensure_ascii=False).encode()

    def payload(self) -> dict[str, Any]:
        """Describe the device, who says so, when it is there, and its entities."""
        return {
            "device": {
                "identifiers": [self._name],
                "name": f"Assistant {self.topics.site}",
                "manufacturer": "assistant",
                "model": "Voice assistant",
                "sw_version": version("assistant"),
            },
            "origin": {"name": "assistant", "sw_version": version("assistant")},
            "availability": [{"topic": self.topics.status}],
            "qos": 1,
            "components": {
                key: {
                    **component,
                    "unique_id": f"{self._name}_{key}",
                    "default_entity_id": f"{component['platform']}.{self._slug}_{key}",
                }
                for key, component in self._components().items()
            },
        }

    @property
    def _name(self) -> str:
        return f"assistant_{self.device_id}"

    @property
    def _slug(self) -> str:
        """What entity ids are made of: lower case, single underscores."""
        words = re.findall(r"[a-z0-9]+", self.topics.site.lower())
        return "_".join(["assistant", *words])

    def _components(self) -> dict[str, dict[str, Any]]:
        return self._doings() | self._controls() | self._knobs() | self._diagnostics()

    def _doings(self) -> dict[str, dict[str, Any]]:
        topics = self.topics
        return {
            "state": {
                "platform": "sensor",
                "name": "State",
                "device_class": "enum",
                "options": [activity.value for activity in Activity],
                "state_topic": topics.state,
                "value_template": "{{ value_json.state }}",
            },
            "speaking": {
                "platform": "binary_sensor",
                "name": "Speaking",
                "device_class": "sound",
                "state_topic": topics.state,
                "value_template": _on_when("state", Activity.LISTENING),
            },
            "conversation": {
                "platform": "event",
                "name": "Conversation",
                "event_types": [kind.value for kind in EventType],
                "state_topic": topics.event,
            },
        }

    def _controls(self) -> dict[str, dict[str, Any]]:
        topics = self.topics
        return {
            "mute": {
                "platform": "switch",
                "name": "Mute",
                "icon": "mdi:microphone-off",
                "state_topic": topics.mute,
                "command_topic": topics.command(CommandName.MUTE),
            },
            "listen": {
                "platform": "button",
                "name": "Listen",
                "icon": "mdi:microphone",
                "command_topic": topics.command(CommandName.LISTEN),
            },
            "cancel": {
                "platform": "button",
                "name": "Cancel",
                "icon": "mdi:close",
                "command_topic": topics.command(CommandName.CANCEL),
            },
            "say": {
                "platform": "notify",
                "name": "Say",
                "command_topic": topics.command(CommandName.SAY),
                # as it is, a text that begins with a brace would be taken for JSON
                "command_template": "{{ {'text': value} | to_json }}",
            },
        }

    def _knobs(self) -> dict[str, dict[str, Any]]:
        topics = self.topics
        return {
            "sensitivity": {
                "platform": "number",
                "name": "Sensitivity",
                "icon": "mdi:ear-hearing",
                "entity_category": "config",
                "min": 5,
                "max": 95,
                "step": 5,
                "unit_of_measurement": "%",
                "state_topic": topics.threshold,
                # people expect more to hear more, and a threshold is the other way round
                "value_template": "{{ (100 - 100 * value | float) | round }}",
                "command_topic": topics.command(CommandName.THRESHOLD),
                "command_template": "{{ (1 - value / 100) | round(2) }}",
            },
            "patience": {
                "platform": "select",
                "name": "Patience",
                "icon": "mdi:timer-sand",
                "entity_category": "config",
                "options": ["quick", "normal", "relaxed"],
                "state_topic": topics.preset,
                "command_topic": topics.command(CommandName.PRESET),
            },
            "model": {
                "platform": "select",
                "name": "Model",
                "icon": "mdi:brain",
                "entity_category": "config",
                "options": ["default", *self.models],
                "state_topic": topics.model,
                "command_topic": topics.command(CommandName.MODEL),
            },
        }

    def _diagnostics(self) -> dict[str, dict[str, Any]]:
        topics = self.topics
        return {
            "problem": {
                "platform": "binary_sensor",
                "name": "Problem",
                "device_class": "problem",
                "entity_category": "diagnostic",
                "state_topic": topics.info,
                "value_template": _on_when("lifecycle", Lifecycle.ALERT),
                "json_attributes_topic": topics.info,
                "json_attributes_template": "{{ {'problem': value_json.problem} | to_json }}",
            },
            "latency": {
                "platform": "sensor",
                "name": "Latency",
                "device_class": "duration",
                "entity_category": "diagnostic",
                "state_class": "measurement",
                "unit_of_measurement": "ms",
                "state_topic": topics.metrics,
                "value_template": (
                    "{{ value_json.timings_ms.total if value_json.timings_ms else None }}"
                ),
            },
            "memory": {
                "platform": "sensor",
                "name": "Memory",
                "device_class": "data_size",
                "entity_category": "diagnostic",
                "state_class": "measurement",
                "unit_of_measurement": "MiB",
                "state_topic": topics.metrics,
                "value_template": "{{ value_json.rss_mib }}",
            },
        }


def _on_when(field: str, value: str) -> str:
    return f"{{{{ 'ON' if value_json.{field} == '{value}' else 'OFF' }}}}"
