"""Wordings with their likeliest slots filled in, thousands at once.

The wordings of one template are one text, so that a slot is filled in all of them by one
`str.replace`.
"""

from collections.abc import Callable, Mapping, Sequence

from rapidfuzz import fuzz

from assistant.templates import Template, open_slots

FRAME_RATIO = 75.0
"""How alike the words around a free text must be: anything at all may stand in the text."""
_END = "\n"
_Likeliest = Callable[[Template], Mapping[str, str]]
"""Says what was likeliest said for each slot of a template."""


def free_text(wording: str, template: Template) -> str:
    """Name the slot of a wording that takes any words; empty where there is none."""
    return next((n for n in open_slots(wording) if template.types[n].wildcard), "")


class Guesses:
    """The wordings of one template, made once; those without a free text come first."""

    def __init__(self, template: Template, wordings: Sequence[str]) -> None:
        self._template = template
        self._slots = [name for name in template.slots if not template.types[name].wildcard]
        wild = [free_text(wording, template) for wording in wordings]
        self._wild = [name for name in wild if name]
        plain = wordings[: len(wordings) - len(self._wild)]
        self._plain = _END.join(plain) if plain else None
        ends = zip(wordings[len(plain) :], self._wild, strict=True)
        sides = [wording.partition(f"{{{name}}}") for wording, name in ends]
        self._before = _END.join(before for before, _, _ in sides)
        self._after = _END.join(after for _, _, after in sides)

    def fill(self, heard: Sequence[str], likeliest: _Likeliest) -> list[str]:
        """Fill every wording, in order; a free text with the words of `heard` in its place."""
        said = likeliest(self._template)
        guesses = [] if self._plain is None else self._put(self._plain, said).split(_END)
        if not self._wild:
            return guesses
        befores = self._put(self._before, said).split(_END)
        afters = self._put(self._after, said).split(_END)
        starts = {side: _start(heard, side.split()) for side in set(befores)}
        ends = {side: _end(heard, side.split()) for side in set(afters)}
        for before, after, wild in zip(befores, afters, self._wild, strict=True):
            start, end = starts[before], ends[after]
            fits = start is not None and end is not None and start < end
            guesses.append(before + (" ".join(heard[start:end]) if fits else said[wild]) + after)
        return guesses

    def _put(self, text: str, said: Mapping[str, str]) -> str:
        for name in self._slots:
            text = text.replace(f"{{{name}}}", said[name])
        return text


def _start(heard: Sequence[str], words: Sequence[str]) -> int | None:
    """Where a free text begins after `words`; None if other words were heard before it."""
    place = len(words)
    return place if alike(" ".join(heard[:place]), " ".join(words)) else None


def _end(heard: Sequence[str], words: Sequence[str]) -> int | None:
    """Where a free text ends before `words`; None if other words were heard after it."""
    place = len(heard) - len(words)
    return place if alike(" ".join(heard[max(0, place) :]), " ".join(words)) else None


def alike(left: str, right: str) -> bool:
    """Whether these may be the same words."""
    return left == right or fuzz.ratio(left, right) >= FRAME_RATIO
