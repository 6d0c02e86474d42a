"""Every topic of one site: what is said on it or taken from it, and an example."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from assistant.described import schema_of
from assistant.mqtt.commands import (
    Cancel,
    Command,
    Listen,
    Say,
    SetModel,
    SetMute,
    SetPreset,
    SetThreshold,
)
from assistant.mqtt.discovery import Discovery
from assistant.mqtt.examples import (
    AT,
    DIAGNOSTICS,
    METRICS,
    PLUGINS,
    RELOAD,
    SLOTS,
    TURN,
    reply,
)
from assistant.mqtt.payloads import (
    Activity,
    EventPayload,
    EventType,
    InfoPayload,
    Lifecycle,
    PartialPayload,
    Payload,
    StatePayload,
)
from assistant.mqtt.requests import (
    Ask,
    AskResponse,
    ChangeSetting,
    Diagnose,
    DiagnosticsResponse,
    ListPlugins,
    PluginsResponse,
    ReloadPlugins,
    ReloadResponse,
    Request,
    Response,
    SettingPart,
    SettingResponse,
)
from assistant.mqtt.rooms import SOUND, AnswerKind, AnswerPayload, ClaimPayload
from assistant.mqtt.topics import CommandName, RequestName, Topics

_PROBABILITY = {"type": "number", "examples": ["0.5"]}
_MODEL = {"type": "string", "examples": ["default"]}
_PRESETS = {"enum": ["quick", "normal", "relaxed"]}


@dataclass(frozen=True, slots=True)
class Entry:
    """One topic."""

    topic: str
    meaning: str
    json: BaseModel | None = None
    """An example of the JSON, whose class is its schema."""
    text: dict[str, Any] | None = None
    """The JSON Schema of the plain text, where that is said or taken."""
    incoming: bool = False
    """The assistant listens to it; else it publishes it."""
    retained: bool = False
    qos: int = 1

    @property
    def example(self) -> str:
        """The payload as it goes over the wire; empty where any will do."""
        match self.json:
            case Payload():
                return self.json.encode().decode()
            case Command():
                return self.json.model_dump_json(exclude_none=True)
        shape = self.text or {}
        return next(iter(shape.get("enum") or shape.get("examples", [])), "")

    def describe(self) -> dict[str, Any]:
        """Everything about the topic; `schema` is the JSON Schema of its payload."""
        mode: Any = "validation" if self.incoming else "serialization"
        shapes = [schema_of(type(self.json), mode)] if self.json else []
        shapes += [{"contentMediaType": "text/plain", **self.text}] if self.text else []
        return {
            "direction": "in" if self.incoming else "out",
            "retained": self.retained,
            "qos": self.qos,
            "meaning": self.meaning,
            "schema": shapes[0] if len(shapes) == 1 else {"anyOf": shapes},
        }


def catalogue(topics: Topics) -> tuple[Entry, ...]:
    """Every topic that is published, then every topic that is listened to."""
    said = (*_lasting(topics), *_passing(topics), *_between_rooms(topics))
    return (*said, *_commands(topics), *_requests(topics), *_home_assistant(topics))


def _lasting(topics: Topics) -> tuple[Entry, ...]:
    info = InfoPayload(
        version="1.0",
        lifecycle=Lifecycle.READY,
        model="nano",
        microphone="USB microphone",
        plugins=("clock", "lights", "timer"),
        config_hash="0123456789ab",
    )
    state = StatePayload(state=Activity.LISTENING, turn=TURN, since=AT)
    there = {"enum": ["online", "offline"]}
    return (
        Entry(
            topics.status,
            "Whether the assistant is there; also its last will.",
            text=there,
            retained=True,
        ),
        Entry(topics.info, "What runs here, and what needs a person.", info, retained=True),
        Entry(topics.state, "What the assistant is doing.", state, retained=True),
        Entry(
            topics.mute,
            "Whether the microphone is muted: the applied value, not the wish.",
            text={"enum": ["ON", "OFF"]},
            retained=True,
        ),
        Entry(
            topics.threshold,
            "Above which probability a sound is speech.",
            text=_PROBABILITY,
            retained=True,
        ),
        Entry(topics.preset, "How long a pause ends an utterance.", text=_PRESETS, retained=True),
        Entry(
            topics.model,
            "Which of `engine.models` is used, or `default`.",
            text=_MODEL,
            retained=True,
        ),
    )


def _passing(topics: Topics) -> tuple[Entry, ...]:
    site = topics.site
    details = {"intent": "lights.switch", "slots": SLOTS, "confidence": 1.0}
    event = EventPayload.model_validate(
        {"event_type": EventType.INTENT, "site": site, "at": AT, "turn": TURN, **details}
    )
    partial = PartialPayload(turn=TURN, site=site, seq=0, text="turn on the")
    return (
        Entry(topics.event, "What just happened; what more is known stands beside it.", event),
        Entry(topics.reply, "The answer to one turn.", reply(site)),
        Entry(topics.partial, "What was said so far; the next one replaces it.", partial, qos=0),
        Entry(topics.metrics, "How the daemon fares, every 30 seconds.", METRICS, qos=0),
    )


def _between_rooms(topics: Topics) -> tuple[Entry, ...]:
    site, sound = topics.site, {"contentMediaType": SOUND, "contentEncoding": "binary"}
    claim = ClaimPayload(turn=TURN, site=site, group="home", level_dbfs=-24.5)
    answer = AnswerPayload(turn=TURN, engine="engine-1", kind=AnswerKind.REPLY, reply=reply(site))
    there = {"enum": ["online", "offline"]}
    return (
        Entry(topics.utterance, "What a satellite heard, for any engine.", text=sound),
        Entry(
            topics.utterance_for("engine-1"),
            "The answer to a question of `engine-1`, for that one.",
            text=sound,
        ),
        Entry(topics.answer, "What an engine makes of it, for the satellite.", answer),
        Entry(topics.claim, "How loud a voice is here: the loudest satellite answers.", claim),
        Entry(topics.engine, "Whether this engine is there.", text=there, retained=True),
    )


def _commands(topics: Topics) -> tuple[Entry, ...]:
    said = {"type": "string", "minLength": 1}
    switched = {"enum": ["ON", "OFF", "true", "false"]}
    told: dict[CommandName, tuple[str, Command, dict[str, Any]]] = {
        CommandName.SAY: ("Say this at the site, unasked.", Say(text="Dinner is ready."), said),
        CommandName.LISTEN: ("Listen now, as after a wake word.", Listen(), {"type": "string"}),
        CommandName.CANCEL: ("Give up the current turn.", Cancel(), {"type": "string"}),
        CommandName.MUTE: ("Mute the microphone, or no longer.", SetMute(muted=True), switched),
        CommandName.THRESHOLD: (
            "Take more (a lower number) or less for speech.",
            SetThreshold(value=0.4),
            _PROBABILITY,
        ),
        CommandName.PRESET: (
            "Wait longer or shorter for the end of an utterance.",
            SetPreset(value="relaxed"),
            _PRESETS,
        ),
        CommandName.MODEL: (
            "Use another model of `engine.models`, or `default`.",
            SetModel(value="default"),
            _MODEL,
        ),
    }
    return tuple(
        Entry(topics.command(name), meaning, example, text, incoming=True)
        for name, (meaning, example, text) in told.items()
    )


def _requests(topics: Topics) -> tuple[Entry, ...]:
    told: tuple[tuple[str, Request, str, Response], ...] = (
        (
            "Answer this text as if it had been spoken.",
            Ask(text="turn on the kitchen light", transaction="7"),
            "The reply, which is published as `reply`, too; an error when no plugin answers.",
            AskResponse(data=reply(topics.site), transaction="7"),
        ),
        (
            "Say which plugins there are.",
            ListPlugins(transaction="8"),
            "What is understood without the model, and what could not be loaded.",
            PluginsResponse(data=PLUGINS, transaction="8"),
        ),
        (
            "Load the plugins that have changed, without a restart.",
            ReloadPlugins(transaction="10"),
            "What is new, what is gone, and what is broken: there the old version goes on.",
            ReloadResponse(data=RELOAD, transaction="10"),
        ),
        (
            "Change a setting while the assistant runs; a restart keeps the change.",
            ChangeSetting(setting="endpoint.preset", value="relaxed", transaction="11"),
            "What the setting is now.",
            SettingResponse(
                data=SettingPart(setting="endpoint.preset", value="relaxed"), transaction="11"
            ),
        ),
        (
            "Say how the daemon fares.",
            Diagnose(transaction="9"),
            "What one wants to know before asking for help.",
            DiagnosticsResponse(data=DIAGNOSTICS, transaction="9"),
        ),
    )
    entries: list[Entry] = []
    for asked, request, responded, response in told:
        name = request.name
        words = _words_of(name)
        entries.append(Entry(topics.request(name), asked, request, words, incoming=True))
        entries.append(Entry(topics.response(name), responded, response))
    return tuple(entries)


def _words_of(name: RequestName) -> dict[str, Any] | None:
    """The schema of a request as plain text; None where only JSON will do."""
    match name:
        case RequestName.ASK:
            return {"type": "string", "minLength": 1}
        case RequestName.SETTING:
            return None
        case _:
            return {"type": "string"}


def _home_assistant(topics: Topics) -> tuple[Entry, ...]:
    discovery = Discovery(topics, "<id>")
    what = "The device and its entities, for Home Assistant."
    when = "Home Assistant has started, so it is told everything again."
    return (
        Entry(discovery.topic, what, text={"contentMediaType": "application/json"}, retained=True),
        Entry(discovery.birth_topic, when, text={"enum": ["online"]}, incoming=True),
    )
