"""`docs/mqtt.md`, made from the models that are published and obeyed."""

import json
from collections.abc import Iterator
from typing import Any

from assistant.described import schema_of
from assistant.mqtt.catalogue import Entry, catalogue
from assistant.mqtt.recipes import RECIPES
from assistant.mqtt.topics import Topics
from assistant.mqtt.window import IN_FLIGHT

_HEAD = """\
# MQTT

<!-- Made by `assistant mqtt schema --markdown`; edit assistant/mqtt, not this file. -->

Everything of one assistant is below `assistant/<site>/`; the first word (`mqtt.base_topic`) and
`site` are settings. Payloads are UTF-8 JSON; `status` and `mute` are plain text. `v` is the version
of a payload: it is raised when a field changes its meaning or goes. Fields may be added: let pass
what you do not know.

- The broker keeps what is *retained* for whoever comes late. Events and replies are not: they are
  news. While the broker is away they wait on disk (`mqtt.outbox_count`, `mqtt.outbox_age_s`), also
  over a crash, and are sent in order when it is back. What is too old by then, or finds no room, is
  not sent and counted in `drops` of the metrics.
- A reply or an event arrives once, unless the connection breaks before the broker has acknowledged
  it: then the last {window} at most are sent again, in order and byte for byte the same. To act
  once, pass over a reply whose (`turn`, `seq`), or an event whose (`at`, `event_type`, `turn`), was
  among the last {window}. Subscribe with QoS 1: with 0, the broker may lose them.
- A command that arrives *retained* is refused, for nobody knows how old it is. So is one that comes
  after its `expires_at`, is too large (`mqtt.max_payload_bytes`) or not understood. Each is one
  line in the log, one `error` event and one more in `drops.commands` of the metrics. More than
  `mqtt.commands_per_s` on one topic are dropped and counted.
- A request on `request/<name>` is answered on `response/<name>`: `data`, `status` (`ok` or
  `error`), `error` when there is one, and the request's `transaction`. Requests are answered one
  after the other; one that is retained, or over the rate, is not answered at all.
- With MQTT 5 (`mqtt.protocol`; everything works without it) replies and events also carry the
  user properties `schema` (`reply/1`) and `turn`, and expire at the broker when they would have
  expired here. A request may name a response topic and correlation data. `offline` is said only
  after `mqtt.will_delay_s`, and commands wait for an assistant that comes back within
  `mqtt.session_expiry_s`.
- When a plugin asks back, an event `plugin` with the name `question` tells in its `data` which
  answers it `expects` and for how long (`timeout_s`) they are heard without a wake word. An event
  `unanswered` of the same turn tells when nobody answered; then the wake word is needed again.
- `assistant mqtt schema` prints all of this as JSON Schema, keyed by topic; `assistant mqtt clean`
  removes every retained message of this assistant from the broker, also of a `site` that it had
  before and nobody else has now.
"""
_TOLD_ELSEWHERE = {"ReplyPayload", "MetricsPayload"}
"""Payloads with a section of their own, which are not told again inside another."""


def document() -> str:
    """Describe every topic, with its payload and an example, in Markdown."""
    topics = Topics("assistant", "kitchen")
    entries = catalogue(topics)
    parts = [_HEAD.format(window=IN_FLIGHT), "## Topics\n", *_overview(entries, topics), ""]
    for entry in entries:
        parts += _section(entry, topics)
    return "\n".join([*parts, RECIPES]).rstrip("\n")


def _overview(entries: tuple[Entry, ...], topics: Topics) -> Iterator[str]:
    yield "| topic | direction | retained | QoS | meaning |"
    yield "| --- | --- | --- | --- | --- |"
    for entry in entries:
        direction, retained = "in" if entry.incoming else "out", "yes" if entry.retained else "no"
        name = _name(entry, topics)
        yield f"| `{name}` | {direction} | {retained} | {entry.qos} | {entry.meaning} |"


def _section(entry: Entry, topics: Topics) -> Iterator[str]:
    """A table of the payload's fields, and an example of it."""
    if entry.json is None:
        return
    yield f"## `{_name(entry, topics)}`\n"
    yield f"{entry.meaning}{_plain_text(entry.text)}\n"
    whole = schema_of(type(entry.json), "validation" if entry.incoming else "serialization")
    yield "| field | values | meaning |"
    yield "| --- | --- | --- |"
    for name, values, meaning in _fields(whole, whole):
        yield f"| `{name}` | {values} | {meaning} |"
    yield f"\n```json\n{json.dumps(json.loads(entry.example), ensure_ascii=False)}\n```\n"


def _name(entry: Entry, topics: Topics) -> str:
    return entry.topic.removeprefix(f"{topics.root}/")


def _plain_text(schema: dict[str, Any] | None) -> str:
    if schema is None:
        return ""
    if choices := schema.get("enum"):
        return f" As text: {', '.join(f'`{choice}`' for choice in choices)}."
    if examples := schema.get("examples"):
        return f" As text, for instance `{examples[0]}`."
    return " Plain text is taken whole." if "minLength" in schema else " Any text will do, or none."


def _fields(whole: Any, node: Any, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Every field's dotted name, values and meaning, those of nested objects included."""
    for name, given in node.get("properties", {}).items():
        spec = _resolved(whole, given)
        meaning = " ".join((given.get("description") or spec.get("description", "")).split())
        yield prefix + name, _values(whole, given), meaning
        if spec.get("title") not in _TOLD_ELSEWHERE:
            yield from _fields(whole, spec, f"{prefix}{name}.")


def _resolved(whole: Any, spec: Any) -> Any:
    """What a reference refers to; of several kinds, the first."""
    spec = spec.get("anyOf", [spec])[0]
    return whole["$defs"][spec["$ref"].rpartition("/")[2]] if "$ref" in spec else spec


def _values(whole: Any, spec: Any) -> str:
    """Say what a field may be: its choices, or its type."""
    if "anyOf" in spec:
        return " or ".join(dict.fromkeys(_values(whole, kind) for kind in spec["anyOf"]))
    if "$ref" in spec:
        return _values(whole, _resolved(whole, spec))
    if choices := spec.get("enum", [spec["const"]] if "const" in spec else None):
        return ", ".join(f"`{choice}`" for choice in choices)
    if "items" in spec:
        return f"list of {_values(whole, spec['items'])}"
    return str(spec.get("type", "anything"))
