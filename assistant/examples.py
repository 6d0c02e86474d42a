"""A plugin's own examples, held against its own templates when it is loaded."""

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from assistant import spoken
from assistant.courtesy import polite
from assistant.slots import jsonable

if TYPE_CHECKING:
    from assistant.loading import BoundHandler


def own_slots(bound: "BoundHandler", sentence: str) -> Mapping[str, Any] | None:
    """Match a sentence with the handler's templates; the slots of the most specific, or None."""
    whole = spoken.normalise(sentence)
    for said in dict.fromkeys((whole, polite(whole)[1])):
        key = said.replace("'", "")
        hits = [hit for template in bound.templates if (hit := template.match(key))]
        if hits:
            return max(hits, key=lambda hit: hit[1])[0]
    return None


def wrong_slot(bound: "BoundHandler", sentence: str, slots: Mapping[str, Any]) -> str | None:
    """Say which slot is not what the example wants it to be."""
    for name, wanted in bound.handler.examples[sentence].items():
        value = slots.get(name, bound.default(name))
        if not _same(value, wanted):
            return f"gives {name}={value!r}, not {wanted!r}"
    return None


def broken_example(bound: "BoundHandler") -> str | None:
    """Say which example of the handler is not understood as it is meant."""
    for sentence in bound.handler.examples:
        slots = own_slots(bound, sentence)
        if slots is None:
            return f"example {sentence!r} fits none of its templates"
        if reason := wrong_slot(bound, sentence, slots):
            return f"example {sentence!r} {reason}"
    return None


def _same(value: Any, wanted: Any) -> bool:
    """Whether these are one value; seconds may stand for a duration, a name for a member."""
    if value == wanted:
        return True
    if isinstance(value, Enum) and wanted == value.name:
        return True
    return bool(jsonable({"": value}) == jsonable({"": wanted}))
