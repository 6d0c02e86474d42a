"""What a handler may answer."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass


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
