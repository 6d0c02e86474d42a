"""Wordings with their likeliest slots filled in, thousands at once.

All wordings are one list of pieces, words between slots and slots; each different piece is kept
once, so that filling them all is picking from a short list and joining what was picked.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from assistant.likely import Frame, Heard
from assistant.outline import Picks
from assistant.slots import SlotType
from assistant.templates import open_slots

_END = "\n"
_SLOT = re.compile(r"\{(\w+)\}")

Slots = Mapping[str, SlotType]


class Skeleton(NamedTuple):
    """One wording of a template, its slots still open."""

    owner: int
    """Index of the template, in the order in which they were given."""
    picks: Picks
    text: str
    slots: tuple[str, ...]
    """The names of its slots, in order, each once."""
    wild: str
    """The first slot that takes any words; empty where there is none."""
    before: str
    """What stands before that slot."""
    after: str

    @classmethod
    def of(cls, owner: int, picks: Picks, text: str, kinds: Slots) -> "Skeleton":
        """Look at the slots of `text`, which are of these `kinds`."""
        if "{" not in text:
            return cls(owner, picks, text, (), "", text, "")
        slots = tuple(dict.fromkeys(open_slots(text)))
        wild = next((name for name in slots if kinds[name].wildcard), "")
        before, _, after = text.partition(f"{{{wild}}}") if wild else (text, "", "")
        return cls(owner, picks, text, slots, wild, before, after)

    def fill(self, heard: Heard, said: Mapping[str, str]) -> str:
        """Fill in `said`, but a free text with what was heard in its place, if anything was."""
        if self.wild:
            before, after = self.before.format_map(said), self.after.format_map(said)
            if words := heard.between(before, after):
                return before + words + after
        return self.text.format_map(said)


class Guesses:
    """Skeletons, made ready once to be filled again and again."""

    def __init__(self, skeletons: Sequence[Skeleton], slots: Sequence[Slots]) -> None:
        """`slots` are those of the templates."""
        self._texts = _Texts((each.text, slots[each.owner]) for each in skeletons)
        free = [(place, each) for place, each in enumerate(skeletons) if each.wild]
        self._free = [place for place, _ in free]
        self._around = _Around([(each, slots[each.owner]) for _, each in free])

    def fill(self, heard: Heard) -> list[str]:
        """Fill every skeleton; a free text with what was heard in its place, if anything was."""
        guesses = self._texts.fill(heard)
        for index, text in self._around.fill(heard):
            guesses[self._free[index]] = text
        return guesses


class _Texts:
    """Texts whose slots are all filled at the same time."""

    def __init__(self, texts: Iterable[tuple[str, Slots]]) -> None:
        places: dict[str, int] = {}
        kinds: dict[int, tuple[int, SlotType]] = {}
        self._pieces: list[str] = []
        order: list[int] = []

        def put(piece: str) -> None:
            if piece not in places:
                places[piece] = len(self._pieces)
                self._pieces.append(piece)
            order.append(places[piece])

        self._count, words = 0, ""
        for text, slots in texts:
            first, *rest = _SLOT.split(text)  # words, name, words, name, words
            words += first if not self._count else _END + first
            for name, after in zip(rest[::2], rest[1::2], strict=True):
                put(words)
                kind = slots[name]
                if id(kind) not in kinds:
                    kinds[id(kind)] = len(self._pieces), kind
                    self._pieces.append("")
                order.append(kinds[id(kind)][0])
                words = after
            self._count += 1
        put(words)
        self._kinds = list(kinds.values())
        self._pick = itemgetter(*order)

    def fill(self, heard: Heard) -> list[str]:
        """Fill in what was likeliest said."""
        if not self._count:
            return []
        pieces = self._pieces.copy()
        for place, kind in self._kinds:
            pieces[place] = heard.likely(kind)[0]
        return "".join(self._pick(pieces)).split(_END)


class _Around:
    """What stands before and after the free texts of some skeletons."""

    def __init__(self, skeletons: Sequence[tuple[Skeleton, Slots]]) -> None:
        self._befores = _Sides([(each.before, slots) for each, slots in skeletons])
        self._afters = _Sides([(each.after, slots) for each, slots in skeletons])

    def fill(self, heard: Heard) -> Iterator[tuple[int, str]]:
        """Give the skeletons around which nothing else was heard, with what was heard there."""
        befores, before = self._befores.fill(heard)
        afters, after = self._afters.fill(heard)
        starts = heard.starts(before)[self._befores.which]
        ends = heard.ends(after)[self._afters.which]
        for index in np.flatnonzero((starts >= 0) & (starts < ends)).tolist():
            words = " ".join(heard.words[starts[index] : ends[index]])
            first, last = self._befores.which[index], self._afters.which[index]
            yield index, befores[first] + words + afters[last]


class _Sides:
    """Texts many of which are the same; those without slots are ready."""

    def __init__(self, sides: Sequence[tuple[str, Slots]]) -> None:
        keys = [
            (text, tuple(id(slots[name]) for name in open_slots(text))) for text, slots in sides
        ]
        different = dict(zip(keys, sides, strict=True))
        ready = [key for key in different if not key[1]]
        opened = [key for key in different if key[1]]
        places = {key: place for place, key in enumerate([*ready, *opened])}
        self.which = np.array([places[key] for key in keys], np.intp)
        """Which of the different ones each is, by its place when filled."""
        self._ready = [text for text, _ in ready]
        self._frame = Frame.of(self._ready)
        self._opened = _Texts(different[key] for key in opened)

    def fill(self, heard: Heard) -> tuple[list[str], Frame]:
        """Give the different ones, filled in."""
        opened = self._opened.fill(heard)
        return self._ready + opened, self._frame + Frame.of(opened)


def _key(text: str, slots: Slots) -> tuple[str, tuple[int, ...]]:
    return text, tuple(id(slots[name]) for name in open_slots(text))
