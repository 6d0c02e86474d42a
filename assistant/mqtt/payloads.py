"""What this assistant publishes: one model for each topic, with a version field."""

from enum import StrEnum
from importlib.metadata import version
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from assistant.turn import EndReason, Reply, Timings

VERSION: Literal[1] = 1
"""Raised when a field changes its meaning or goes; a new field does not raise it."""


class Payload(BaseModel):
    """Something published."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    v: Literal[1] = VERSION
    """Version of this payload."""

    def encode(self) -> bytes:
        """UTF-8 JSON; a value JSON does not know is written as its `str`."""
        return self.model_dump_json(fallback=str).encode()


class Lifecycle(StrEnum):
    """How far the daemon has come."""

    INIT = "init"
    """Loading; not listening yet."""
    READY = "ready"
    ALERT = "alert"
    """Something needs a person, such as a microphone that is gone."""


class InfoPayload(Payload):
    """What runs here."""

    version: str = Field(default_factory=lambda: version("assistant"))
    """Of the software."""
    lifecycle: Lifecycle = Lifecycle.INIT
    problem: str | None = None
    """Why `lifecycle` is `alert`, in one line."""
    model: str | None = None
    """Its name; null while it loads."""
    microphone: str | None = None
    """What is heard; null while nothing is."""
    plugins: tuple[str, ...] = ()
    """The names of those that are loaded."""
    config_hash: str | None = None
    """Changes when a setting changes; secrets are not part of it."""


class Activity(StrEnum):
    """What the assistant is doing, in Home Assistant's own words."""

    IDLE = "idle"
    LISTENING = "listening"
    PROCESSING = "processing"
    RESPONDING = "responding"


class StatePayload(Payload):
    """What the assistant is doing."""

    state: Activity = Activity.IDLE
    turn: str | None = None
    """For which turn; null when idle."""
    since: float
    """Seconds since 1970, UTC."""
    muted: bool = False
    """Whether the microphone is."""


class EventType(StrEnum):
    """Everything that can happen."""

    WAKE = "wake"
    SPEECH_START = "speech_start"
    SPEECH_END = "speech_end"
    INTENT = "intent"
    REPLY = "reply"
    ERROR = "error"
    PLUGIN = "plugin"
    """A plugin tells something; `name` says what."""


class EventPayload(Payload):
    """Something that happened; what more is known of it stands beside these fields."""

    model_config = ConfigDict(extra="allow")

    event_type: EventType
    """Says what stands beside: `started_by` for speech_start; `reason`, and `seconds` or `dropped`,
    for speech_end; `intent`, `slots` and `confidence` for intent; `text` for reply; `message` for
    error; `plugin`, `name` and `data` for plugin."""
    site: str
    """Where."""
    at: float
    """Seconds since 1970, UTC."""
    turn: str | None = None
    """In which turn; left out where it was in none."""

    def encode(self) -> bytes:
        """UTF-8 JSON without the fields that do not apply."""
        return self.model_dump_json(fallback=str, exclude_none=True).encode()


class ReplyPayload(Payload):
    """An answer, or one part of it: (`turn`, `seq`) names it, so a repeated one can be told."""

    turn: str
    """Names the turn; no other turn of any site has this name."""
    site: str
    """Where it was asked, and where the answer belongs."""
    seq: int = Field(default=0, ge=0)
    """Counts the parts of one turn's answer."""
    text: str
    """What to say."""
    final: bool = True
    """No part of this answer follows."""
    transcript: str
    """What was understood; empty for what was said unasked."""
    intent: str | None
    """`plugin.handler`; null for the model's own answer."""
    slots: dict[str, Any]
    """What the intent was told."""
    confidence: float
    """Mean probability of the transcript's tokens, 0 to 1."""
    end_reason: EndReason
    passes: int
    """Forward passes of the language model."""
    timings_ms: Timings

    @classmethod
    def of(cls, reply: Reply, *, seq: int = 0, final: bool = True) -> Self:
        """Say `reply`, or the part of it that `seq` counts."""
        turn = reply.turn
        return cls(
            turn=turn.id,
            site=turn.site,
            seq=seq,
            text=reply.text,
            final=final,
            transcript=turn.transcript,
            intent=turn.intent,
            slots=dict(turn.slots),
            confidence=turn.confidence,
            end_reason=reply.end_reason,
            passes=reply.passes,
            timings_ms=reply.timings,
        )


class QueueDepths(BaseModel):
    """What waits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    outbox: int
    """Replies and events that the broker has not acknowledged."""
    commands: int
    """Commands not yet obeyed and requests not yet answered."""


class Drops(BaseModel):
    """What was lost since the start, and where."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    audio_ms: int
    """Sound that nobody read in time."""
    utterances: int
    """Finished utterances that newer ones overtook."""
    messages: int
    """Lost to a full queue, a full or damaged outbox, or a broker that is away or takes none."""
    expired: int
    """Too old when the broker returned."""
    commands: int
    """Refused, over the rate, or pushed out by newer ones."""


class MetricsPayload(Payload):
    """How the daemon fares."""

    at: float
    """Seconds since 1970, UTC."""
    uptime_s: float
    """Seconds since the assistant was loaded."""
    rss_mib: float | None
    """Memory of the process; null where the system does not tell."""
    queues: QueueDepths
    drops: Drops
    turns: int
    """Utterances answered, or tried to, since the start."""
    timings_ms: Timings | None
    """Of the last turn that was spoken."""


class PartialPayload(Payload):
    """The transcript of an utterance that still goes on; each replaces the one before."""

    turn: str
    """The turn that this will be."""
    site: str
    """Where somebody speaks."""
    seq: int = Field(ge=0)
    """Counts the partials of one turn."""
    text: str
    """All that was understood so far."""
