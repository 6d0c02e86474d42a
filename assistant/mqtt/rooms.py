"""What satellites and engines tell each other."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from assistant.mqtt.payloads import Payload, ReplyPayload
from assistant.settings_types import SiteName

SOUND = "audio/ogg"
"""The content type of an utterance."""
TurnName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class ClaimPayload(Payload):
    """A satellite hears a voice and would like to answer it."""

    turn: TurnName
    """The turn that this will be."""
    site: str = Field(max_length=64)
    """Where."""
    group: SiteName
    """Only satellites of the same group compete."""
    level_dbfs: float = Field(le=20, ge=-200)
    """How loud the voice is there, in decibels below the loudest possible."""


class AnswerKind(StrEnum):
    """What has become of an utterance."""

    TAKEN = "taken"
    """An engine has it; the answer follows, or `offline` of that engine."""
    REPLY = "reply"
    NOTHING = "nothing"
    """No words were heard."""
    ERROR = "error"


class AnswerPayload(Payload):
    """What an engine makes of an utterance; the satellite publishes the reply."""

    turn: TurnName
    """Which utterance."""
    engine: SiteName
    """Who says so."""
    kind: AnswerKind
    reply: ReplyPayload | None = None
    """The reply, when there is one."""
    error: str | None = Field(default=None, max_length=1000)
    """What went wrong, in one line; a reply may say so politely, too."""
