"""Questions that get an answer: what may be asked, and what is responded."""

import json
from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, StringConstraints

from assistant.mqtt.commands import (
    Command,
    RefusedCommandError,
    Transaction,
    is_sendable,
    read_payload,
)
from assistant.mqtt.payloads import MetricsPayload, Payload, ReplyPayload
from assistant.mqtt.topics import RequestName


class Request(Command):
    """Something that is answered on the response topic of its name."""

    name: ClassVar[RequestName]

    transaction: Transaction | None = None
    """A text or a number; the response repeats it, so that it can be told whose it is."""


class Ask(Request):
    """Answer this text as if it had been spoken."""

    name = RequestName.ASK

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    """The words."""

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Take the whole payload as the words."""
        return cls(text=text)


class ListPlugins(Request):
    """Say which plugins there are."""

    name = RequestName.PLUGINS


class ReloadPlugins(Request):
    """Load the plugins that have changed, without a restart."""

    name = RequestName.RELOAD


class ChangeSetting(Request):
    """Change a setting while the assistant runs; a restart keeps the change."""

    name = RequestName.SETTING

    setting: str
    """`mute`, `vad.threshold`, `endpoint.preset` or `engine.model`."""
    value: bool | float | str
    """The new value."""

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Plain text does not say which."""
        del text
        raise RefusedCommandError('expected {"setting": "vad.threshold", "value": 0.5}')


class Diagnose(Request):
    """Say how the daemon fares."""

    name = RequestName.DIAGNOSTICS


@dataclass(frozen=True, slots=True)
class Requester:
    """Who waits for an answer, and how it will know that it is its own."""

    name: RequestName
    transaction: Transaction | None = None
    respond_to: str | None = None
    """A topic of its own, which only MQTT 5 can name."""
    correlation: bytes | None = None
    """As `transaction`, in the terms of MQTT 5."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A request, and who made it."""

    request: Request
    whom: Requester


_MODELS: dict[RequestName, type[Request]] = {
    model.name: model for model in (Ask, ListPlugins, ReloadPlugins, ChangeSetting, Diagnose)
}


def parse_request(name: RequestName, payload: bytes) -> Request:
    """Read a request: a JSON object, or plain text.

    Raises `RefusedCommandError`, in one line and with the transaction where there is one.
    """
    try:
        return read_payload(_MODELS[name], payload)
    except RefusedCommandError as error:
        error.transaction = _transaction(payload)
        raise


def _transaction(payload: bytes) -> Transaction | None:
    try:
        found = json.loads(payload)["transaction"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    is_one = isinstance(found, str | int) or (isinstance(found, float) and isfinite(found))
    return found if is_one and is_sendable(found) else None


class Part(BaseModel):
    """A part of a response."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(Part):
    """The data of a response that is an error."""


class Response(Payload):
    """The answer to one request."""

    data: Part | Payload = Nothing()
    """What was asked for; empty for an error."""
    status: Literal["ok", "error"] = "ok"
    """Whether it could be answered."""
    error: str | None = None
    """Why not, in one line; left out where it could."""
    transaction: Transaction | None = None
    """As in the request; left out where that had none."""

    def encode(self) -> bytes:
        """UTF-8 JSON without the fields that do not apply."""
        body: dict[str, Any] = self.model_dump(mode="json", fallback=str, serialize_as_any=True)
        said = {name: value for name, value in body.items() if value is not None}
        return json.dumps(said, ensure_ascii=False).encode()


class AskResponse(Response):
    """The answer, which is published as a reply, too."""

    data: ReplyPayload | Nothing = Nothing()
    """The reply; empty for an error."""


class PluginPart(Part):
    """One plugin."""

    name: str
    """As in the settings."""
    intents: tuple[str, ...]
    """`plugin.handler` of each of its handlers."""
    examples: tuple[str, ...]
    """Sentences that it understands."""


class ProblemPart(Part):
    """A plugin that is not there."""

    plugin: str
    """Its name, or that of its file."""
    reason: str
    """Why, with file and line."""


class PluginsPart(Part):
    """What can be answered without the model."""

    plugins: tuple[PluginPart, ...]
    """Those that are loaded."""
    problems: tuple[ProblemPart, ...]
    """Those that are not."""


class PluginsResponse(Response):
    """Every plugin."""

    data: PluginsPart | Nothing = Nothing()
    """The plugins; empty for an error."""


class ReloadPart(Part):
    """What a reload changed."""

    started: tuple[str, ...]
    """Plugins that are new, or run in a new version."""
    stopped: tuple[str, ...]
    """Plugins that are gone."""
    problems: tuple[ProblemPart, ...]
    """Those that are broken; where there was an old version, that one goes on."""


class ReloadResponse(Response):
    """What became of the plugins."""

    data: ReloadPart | Nothing = Nothing()
    """The changes; empty for an error."""


class SettingPart(Part):
    """What a setting is now."""

    setting: str
    """Its name."""
    value: bool | float | str
    """The applied value."""


class SettingResponse(Response):
    """The setting that was changed."""

    data: SettingPart | Nothing = Nothing()
    """The setting; empty for an error."""


class DiagnosticsPart(Part):
    """What one wants to know before asking for help."""

    versions: dict[str, str]
    """Of the assistant, of Python, and of what it stands on."""
    model: str | None
    """Its name."""
    microphone: str | None
    """What is heard; null while nothing is."""
    problem: str | None
    """What needs a person."""
    messages: dict[str, int]
    """Messages since the start, by what became of them."""
    turns: dict[str, int]
    """Turns since the start, by what became of them."""
    restarts: dict[str, int]
    """How often each task of the daemon failed and was started again."""
    metrics: MetricsPayload
    """Measured now."""


class DiagnosticsResponse(Response):
    """How the daemon fares."""

    data: DiagnosticsPart | Nothing = Nothing()
    """The diagnostics; empty for an error."""
