"""Wordings with their likeliest slots filled in, thousands at once.

The wordings of all templates with the same slots are one text, so that a slot is filled in all of
them by one `str.replace`.
"""

from collections.abc import Mapping
from typing import NamedTuple

from assistant.likely import Heard
from assistant.slots import SlotType
from assistant.templates import Picks, open_slots

_END = "\n"


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
    def of(cls, owner: int, picks: Picks, text: str, kinds: Mapping[str, SlotType]) -> "Skeleton":
        """Look at the slots of `text`, which are of these `kinds`."""
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
    """Skeletons with slots of the same names and kinds, made once."""

    def __init__(self, kinds: Mapping[str, SlotType], places: Mapping[int, Skeleton]) -> None:
        """`places` are where the skeletons stand among all."""
        plain = {place: each for place, each in places.items() if not each.wild}
        free = {place: each for place, each in places.items() if each.wild}
        self.places = [*plain, *free]
        """Where each guess belongs."""
        self._kinds = kinds
        self._plain = _END.join(each.text for each in plain.values()) if plain else None
        befores = {each.before: None for each in free.values()}
        afters = {each.after: None for each in free.values()}
        self._before, self._after = _END.join(befores), _END.join(afters)
        first, last = list(befores).index, list(afters).index
        self._free = [(first(s.before), last(s.after), s.wild) for s in free.values()]

    def fill(self, heard: Heard) -> list[str]:
        """Fill every skeleton; a free text with what was heard in its place, if anything was."""
        said = heard.likeliest(self._kinds)
        guesses = [] if self._plain is None else self._put(self._plain, said).split(_END)
        if not self._free:
            return guesses
        befores = self._put(self._before, said).split(_END)
        afters = self._put(self._after, said).split(_END)
        starts, ends = heard.starts(befores), heard.ends(afters)
        for first, last, wild in self._free:
            start, end = starts[first], ends[last]
            fits = start is not None and end is not None and start < end
            words = " ".join(heard.words[start:end]) if fits else said[wild]
            guesses.append(befores[first] + words + afters[last])
        return guesses

    def _put(self, text: str, said: Mapping[str, str]) -> str:
        for name, value in said.items():
            text = text.replace(f"{{{name}}}", value)
        return text
