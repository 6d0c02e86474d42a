"""The wordings of a template, made ready to be written many times."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from assistant.nodes import Choice, Node, Series, Slot, Text

Picks = tuple[int, ...]
"""One wording: the option taken at each of a template's choices."""
_HERE = "\0"


class Outline:
    """A tree whose choices are numbered."""

    def __init__(self, tree: Node) -> None:
        self.choices = tuple(_choices(tree))
        """The places where a wording can go more than one way."""
        places = {id(choice): place for place, choice in enumerate(self.choices)}
        self._whole = _part(tree, places)
        self._at = {part.place: part for part in _parts(self._whole)}

    def write(self, picks: Picks) -> str:
        """Write the skeleton that takes option `picks[i]` at `choices[i]`."""
        return " ".join(_write(self._whole, picks).split())

    def options(self, picks: Picks, place: int) -> list[str]:
        """Write the skeleton once for each option of `choices[place]`, the others as in `picks`."""
        around = _write(self._whole, (*picks[:place], -1, *picks[place + 1 :]))
        count = len(self.choices[place].options)
        if _HERE not in around:  # another choice leaves this one out
            return [" ".join(around.split())] * count
        parts = self._at[place].parts
        texts = (part if isinstance(part, str) else _write(part, picks) for part in parts)
        return [" ".join(around.replace(_HERE, text).split()) for text in texts]


class _Part(NamedTuple):
    place: int
    """Where the picks say which of the parts is taken; -1 if all are, one after the other."""
    parts: "tuple[str | _Part, ...]"


def _choices(node: Node) -> Iterator[Choice]:
    match node:
        case Choice(options):
            yield node
            for option in options:
                yield from _choices(option)
        case Series(parts):
            for part in parts:
                yield from _choices(part)
        case _:
            return


def _part(node: Node, places: Mapping[int, int]) -> _Part:
    match node:
        case Text(text):
            return _Part(-1, (text,))
        case Slot(name):
            return _Part(-1, (f" {{{name}}} ",))
        case Series(parts):
            return _Part(-1, tuple(_simple(_part(part, places)) for part in parts))
        case Choice(options):
            found = tuple(_simple(_part(option, places)) for option in options)
            return _Part(places[id(node)], found)


def _simple(part: _Part) -> str | _Part:
    texts = [each for each in part.parts if isinstance(each, str)]
    fixed = part.place < 0 and len(texts) == len(part.parts)
    return "".join(texts) if fixed else part


def _parts(part: _Part) -> Iterator[_Part]:
    yield part
    for each in part.parts:
        if isinstance(each, _Part):
            yield from _parts(each)


def _write(part: _Part, picks: Picks) -> str:
    place, parts = part
    if place >= 0:
        pick = picks[place]
        if pick < 0:
            return _HERE
        parts = (parts[pick],)
    return "".join([each if isinstance(each, str) else _write(each, picks) for each in parts])
