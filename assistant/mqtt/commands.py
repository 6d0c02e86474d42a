"""What others may ask of this assistant: bytes from outside become a command or a refusal."""

import json
from typing import Annotated, ClassVar, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from assistant.errors import AssistantError
from assistant.mqtt.topics import CommandName, Knob

Transaction = str | int | float
"""What a requester knows its request by."""


class RefusedCommandError(AssistantError):
    """A command that cannot be obeyed; the message is one line that says why."""

    transaction: Transaction | None = None
    """Of a request, when that much of it could be read."""


class Command(BaseModel):
    """Something asked for; fields this version does not know are let through."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, allow_inf_nan=False)

    v: Literal[1] = 1
    """Version of this payload."""
    expires_at: float | None = None
    """Seconds since 1970, UTC, after which it is not to be obeyed; left out for never."""

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read plain text; a button may send whatever it likes."""
        del text
        return cls()


class Say(Command):
    """Say this text at the site, unasked: an announcement."""

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    """What to say."""

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Take the whole payload as what to say."""
        return cls(text=text)


class Listen(Command):
    """Open an utterance now, without a wake word."""


class Cancel(Command):
    """Give up the current turn."""


class SetMute(Command):
    """Stop or resume listening to the microphone."""

    muted: bool
    """Whether nothing shall be heard."""

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read `ON`, `OFF`, `true` or `false`, in any case."""
        match text.strip().lower():
            case "on" | "true":
                return cls(muted=True)
            case "off" | "false":
                return cls(muted=False)
        raise RefusedCommandError('expected ON, OFF, true, false or {"muted": true}')


class TurnKnob(Command):
    """Set a knob to a value, which whoever has the knob checks."""

    knob: ClassVar[Knob]

    value: str | float
    """The new value."""

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Take the whole payload as the value."""
        if not text.strip():
            raise RefusedCommandError("it is empty: send the new value")
        return cls(value=text.strip())


class SetThreshold(TurnKnob):
    """Take more (a lower number) or less (a higher one) for speech."""

    knob = Knob.THRESHOLD


class SetPreset(TurnKnob):
    """Wait longer or shorter for the end of an utterance."""

    knob = Knob.PRESET


class SetModel(TurnKnob):
    """Use another model of `engine.models`."""

    knob = Knob.MODEL


_C = TypeVar("_C", bound=Command)
_MODELS: dict[CommandName, type[Command]] = {
    CommandName.SAY: Say,
    CommandName.LISTEN: Listen,
    CommandName.CANCEL: Cancel,
    CommandName.MUTE: SetMute,
    CommandName.THRESHOLD: SetThreshold,
    CommandName.PRESET: SetPreset,
    CommandName.MODEL: SetModel,
}


def parse_command(name: CommandName, payload: bytes) -> Command:
    """Read a command: a JSON object, or plain text.

    Raises `RefusedCommandError`, in one line, for anything else.
    """
    return read_payload(_MODELS[name], payload)


def read_payload(model: type[_C], payload: bytes) -> _C:
    """Read what `model` describes; raises `RefusedCommandError` as `parse_command` does."""
    try:
        text = payload.decode()
        if text.lstrip().startswith("{"):
            return _sendable(model.model_validate(json.loads(text)))
        return model.from_text(text)
    except UnicodeDecodeError as error:
        raise RefusedCommandError("it is not UTF-8") from error
    except ValidationError as error:
        raise RefusedCommandError(_explain(error)) from error
    except (ValueError, RecursionError) as error:  # too deep, or a number of too many digits
        raise RefusedCommandError(f"it begins like JSON but is not: {error}") from error


def is_sendable(value: object) -> bool:
    """Whether UTF-8 can hold a value from JSON, whose escapes can name half a character."""
    try:
        str(value).encode()
    except UnicodeEncodeError:
        return False
    return True


def _sendable(command: _C) -> _C:
    for name, value in command:
        if not is_sendable(value):
            raise RefusedCommandError(f"{name}: it has a lone surrogate, half a character")
    return command


def _explain(error: ValidationError) -> str:
    fields: dict[str, list[ErrorDetails]] = {}
    for item in error.errors():
        fields.setdefault(str(item["loc"][0]) if item["loc"] else "", []).append(item)
    return "; ".join(_wrong(name, items) for name, items in fields.items())


_KINDS = {"str": "a text", "int": "a number", "float": "a number", "bool": "true or false"}


def _wrong(name: str, items: list[ErrorDetails]) -> str:
    item = items[0]
    if len(items) > 1:  # it could have been of several kinds, and is of none
        kinds = (str(each["loc"][-1]) for each in items)
        return f"{name}: expected {' or '.join(dict.fromkeys(_KINDS.get(k, k) for k in kinds))}"
    if name == "v":
        return f"v: it is of version {str(item['input'])[:20]}, this assistant knows only 1"
    return f"{name}: {item['msg']}"
