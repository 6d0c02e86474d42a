"""What others ask for in Hermes: bytes from outside, checked; what is not known is let through."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000)]
Name = Annotated[str, StringConstraints(max_length=200)]


class Wish(BaseModel):
    """Something asked for."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Init(Wish):
    """What a session begins with."""

    type: Literal["action", "notification"] = "action"
    text: Words | None = None
    can_be_enqueued: bool = Field(default=True, alias="canBeEnqueued")
    intent_filter: tuple[Name, ...] | None = Field(default=None, alias="intentFilter")
    send_not_recognized: bool = Field(default=False, alias="sendIntentNotRecognized")


class StartSession(Wish):
    """Say something, and perhaps listen for an answer."""

    init: Init
    site: Name | None = Field(default=None, alias="siteId")
    custom_data: Any = Field(default=None, alias="customData")


class ContinueSession(Wish):
    """Say something in a session, and listen again."""

    session: Name = Field(alias="sessionId")
    text: Words | None = None
    intent_filter: tuple[Name, ...] | None = Field(default=None, alias="intentFilter")
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
    site: Name | None = Field(default=None, alias="siteId")
    id: Name | None = None
    session: Name | None = Field(default=None, alias="sessionId")
