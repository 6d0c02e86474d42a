"""What others ask for in Hermes: bytes from outside, checked; what is not known is let through."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000)]
Name = Annotated[str, StringConstraints(max_length=200)]

Filter = Annotated[tuple[Name, ...], Field(max_length=500)] | None
"""The only intents that are wanted; None for all, and an empty list is none."""


class Wish(BaseModel):
    """Something asked for."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    site: Name | None = Field(default=None, alias="siteId")
    """Where; None is everywhere."""


class Init(BaseModel):
    """What a session begins with."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    type: Literal["action", "notification"] = "action"
    text: Words | None = None
    can_be_enqueued: bool = Field(default=True, alias="canBeEnqueued")
    intent_filter: Filter = Field(default=None, alias="intentFilter")
    send_not_recognized: bool = Field(default=False, alias="sendIntentNotRecognized")


class StartSession(Wish):
    """Say something, and perhaps listen for an answer."""

    init: Init
    custom_data: Any = Field(default=None, alias="customData")


class ContinueSession(Wish):
    """Say something in a session, and listen again."""

    session: Name = Field(alias="sessionId")
    text: Words | None = None
    intent_filter: Filter = Field(default=None, alias="intentFilter")
    send_not_recognized: bool = Field(default=False, alias="sendIntentNotRecognized")
    custom_data: Any = Field(default=None, alias="customData")


class EndSession(Wish):
    """End a session, perhaps with a last word."""

    session: Name = Field(alias="sessionId")
    text: Words | None = None
    custom_data: Any = Field(default=None, alias="customData")


class SayWish(Wish):
    """Say something."""

    text: Words
    id: Name | None = None
    session: Name | None = Field(default=None, alias="sessionId")


class Query(Wish):
    """Say which intent some words are."""

    input: Words
    intent_filter: Filter = Field(default=None, alias="intentFilter")
    id: Name | None = None
    session: Name | None = Field(default=None, alias="sessionId")
    sure: float | None = Field(default=None, alias="asrConfidence")
    """How probable the words are, where they were heard."""
    wake_word: Name | None = Field(default=None, alias="wakewordId")
    custom_data: Any = Field(default=None, alias="customData")


class Woken(Wish):
    """A wake word was heard, or somebody presses a button."""

    session: Name | None = Field(default=None, alias="sessionId")


class Toggle(Wish):
    """Switch something off, or on again."""

    reason: Name = ""
    """Why; it is on when no reason is left. Without one, switching on settles all of them."""


class IntentSwitch(BaseModel):
    """One intent, on or off."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    intent: Annotated[str, StringConstraints(pattern=r"^[^\s-]\S*$", max_length=200)] = Field(
        alias="intentId"
    )
    enable: bool


class Configure(Wish):
    """Switch intents off, or on, for the sessions to come that do not name their own."""

    intents: Annotated[tuple[IntentSwitch, ...], Field(max_length=500)] = ()
