"""Every example of every plugin against all loaded templates."""

from collections.abc import Iterator
from dataclasses import dataclass

from assistant.examples import wrong_slot
from assistant.intents import Intents
from assistant.loading import BoundHandler
from assistant.matching import Match


@dataclass(frozen=True, slots=True)
class Conflict:
    """An example that does not lead where its author meant."""

    intent: str
    sentence: str
    reason: str
    """One line; names the other handler's file and line when there is one."""
    source: str
    """`file:line` of the handler whose example it is."""

    def __str__(self) -> str:
        return f"{self.intent}: {self.sentence!r} {self.reason} ({self.source})"


def conflicts(intents: Intents) -> Iterator[Conflict]:
    """Yield what is wrong with the examples of `intents`, loaded with default configurations."""
    for loaded in intents.plugins:
        for bound in loaded.handlers:
            for sentence in bound.handler.examples:
                if reason := _wrong(bound, sentence, intents.match(sentence)):
                    yield Conflict(bound.intent, sentence, reason, bound.handler.source)


def _wrong(bound: BoundHandler, sentence: str, matches: list[Match]) -> str | None:
    own = next((match for match in matches if match.intent == bound.intent), None)
    if own is None or own.confidence < 1:
        return "fits none of its templates"
    if matches[0] is not own:
        return f"is taken by {matches[0].intent} at {matches[0].bound.handler.source}"
    for other in matches:
        same_rank = other.bound.handler.priority == bound.handler.priority
        if other is not own and same_rank and other.specificity == own.specificity:
            where = f"{other.intent} at {other.bound.handler.source}"
            return f"fits {where} equally well: give one of them a priority"
    return wrong_slot(bound, sentence, own.slots)
