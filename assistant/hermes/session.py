"""One conversation, as Hermes sees it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from assistant.wanted import wants


class Termination(StrEnum):
    """Why a session ended."""

    NOMINAL = "nominal"
    ABORTED_BY_USER = "abortedByUser"
    NOT_RECOGNIZED = "intentNotRecognized"
    TIMEOUT = "timeout"
    ERROR = "error"


@dataclass(slots=True)
class Session:
    """A session of this site, from its start to its end."""

    id: str
    custom_data: Any = None
    """Whatever whoever started it likes to see again."""
    intent_filter: tuple[str, ...] | None = None
    """The only intents it is about, as `wants` reads them; None for all."""
    send_not_recognized: bool = False
    """Others decide what happens when nothing was recognised; else the session ends."""
    opening: str | None = None
    """What is said when it begins."""
    turn: str | None = None
    """The turn it hears or answers now; None while it waits for somebody to speak or to decide."""
    seconds: float = 0.0
    """How long the utterance was."""
    error: str | None = None
    """What went wrong in the turn."""
    answered: bool = False
    """The turn was answered: others may continue or end the session."""

    def wants(self, intent: str) -> bool:
        """Whether it is about this intent."""
        return wants(self.intent_filter, intent)
