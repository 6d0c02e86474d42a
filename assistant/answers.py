"""What a handler may answer, and what is known of it then."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assistant.turn import Question


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a turn."""

    text: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A question back; the assistant listens for the answer without a wake word.

    Whatever is said next is the answer if it is expected, or if nothing was and it is no request
    of its own. Then the handler that asked is called again, or `then` is, with the slots that the
    handler had and those of the answer, and with the answer's words in `turn.answer`.
    """

    text: str
    expects: Sequence[str] = ()
    """Answers that are likely, in words or templates, whose slots are those of the handler."""
    timeout: float = 8.0
    """Seconds after the question during which an answer belongs to it."""
    then: "Callable[..., Awaitable[Answer]] | None" = None
    """`async def then(turn, ...)`: its parameters are slots, as a handler's are."""


Answer = Reply | Ask | str | None
"""What a handler may return; None declines, and the next handler is tried."""


def describe(ask: Ask) -> Question:
    """What others need to know of a question."""
    then: Any = ask.then
    name = None if then is None else getattr(then, "__qualname__", type(then).__name__)
    return Question(tuple(ask.expects), ask.timeout, name)


@dataclass(frozen=True, slots=True)
class HandlerResult:
    """What a plugin answered to a turn."""

    intent: str
    slots: Mapping[str, Any]
    """Ready for JSON: durations in seconds, times as "HH:MM"."""
    text: str
    confidence: float
    ask: Ask | None = None
    """The follow-up question, when the reply is one; its text is `text`."""
    error: str | None = None
    """Why the plugin failed, with file and line; `text` then says so to the user."""

    @property
    def question(self) -> Question | None:
        """The follow-up question, as far as others need to know it."""
        return describe(self.ask) if self.ask is not None else None
