"""What satellites and engines tell each other."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from assistant.mqtt.payloads import Payload, ReplyPayload
from assistant.settings_types import SiteName
from assistant.turn import Question

SOUND = "audio/ogg"
"""The content type of an utterance."""
MAX_SOUND_BYTES = 512 << 10
"""More than any utterance that an assistant would send."""
MAX_EXPECTED = 64
"""Answers to a question that are told."""
MAX_EXPECTED_CHARS = 200
MAX_WAIT_S = 600.0
MOST_SAID = 8
"""Answers that are told with an utterance, for it may go on from them."""
MAX_SAID_BYTES = 8192
"""An answer that is longer is not told again."""
NOT_TOLD = "?"
"""In place of the function that takes an answer: only the engine that asked can."""
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
    answers: bool = False
    """A question was asked there that waits for its answer; the others give way."""


class AnswerKind(StrEnum):
    """What has become of an utterance."""

    TAKEN = "taken"
    """An engine has it; the answer follows, or `offline` of that engine."""
    REPLY = "reply"
    NOTHING = "nothing"
    """No words were heard."""
    ERROR = "error"


class QuestionPart(BaseModel):
    """What a plugin asks back."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    expects: tuple[Annotated[str, Field(max_length=MAX_EXPECTED_CHARS)], ...] = Field(
        default=(), max_length=MAX_EXPECTED
    )
    """Answers that are likely, in words or templates."""
    timeout_s: float = Field(gt=0, le=MAX_WAIT_S)
    """How long the satellite hears an answer without a wake word."""
    then: str | None = Field(default=None, max_length=MAX_EXPECTED_CHARS)
    """The plugin's function that takes the answer; null for the handler that asked."""

    @classmethod
    def of(cls, question: Question) -> Self:
        """Say `question`; where its answers are too many or too long, some, and `NOT_TOLD`."""
        told = [each for each in question.expects if len(each) <= MAX_EXPECTED_CHARS]
        then = question.then and question.then[:MAX_EXPECTED_CHARS]
        if len(told[:MAX_EXPECTED]) < len(question.expects):
            then = NOT_TOLD
        wait_s = min(max(question.timeout_s, 0.1), MAX_WAIT_S)
        return cls(expects=tuple(told[:MAX_EXPECTED]), timeout_s=wait_s, then=then)

    @property
    def question(self) -> Question:
        """What is asked."""
        return Question(self.expects, self.timeout_s, self.then)


class AnswerPayload(Payload):
    """What an engine makes of an utterance; the satellite publishes the reply."""

    turn: TurnName
    """Which utterance."""
    engine: SiteName
    """Who says so."""
    kind: AnswerKind
    reply: ReplyPayload | None = None
    """The reply, when there is one."""
    question: QuestionPart | None = None
    """What the reply asks, when that is a question."""
    answers: TurnName | None = None
    """The turn whose question the utterance answered."""
    error: str | None = Field(default=None, max_length=1000)
    """What went wrong, in one line; a reply may say so politely, too."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        """A reply without one, or a failure without a reason, would end a turn in silence."""
        needed = {AnswerKind.REPLY: self.reply, AnswerKind.ERROR: self.error}
        if not needed.get(self.kind, True):
            raise ValueError(f"an answer of kind {self.kind} without {self.kind}")
        return self

    @classmethod
    def read(cls, payload: bytes) -> Self:
        """Check what came; fields of a newer version are let pass. Raises `ValidationError`."""
        return cls.model_validate_json(payload, extra="ignore")
