"""Sentence templates: `[opt] (a|b) {slot} <rule>` in hassil's syntax, matched and expanded.

hassil reads the syntax; here a template becomes one regular expression over normalised words and
a bounded set of *skeletons*: its wordings, with the slots still open as `{name}`.
"""

import itertools
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod
from typing import Any

from hassil.errors import HassilError
from hassil.expression import (
    Alternative,
    Expression,
    ListReference,
    Permutation,
    RuleReference,
    Sequence,
    TextChunk,
)
from hassil.parse_expression import parse_sentence
from hassil.parser import ParseError

from assistant import spoken
from assistant.nodes import Choice, Node, Series, Slot, Text, attached
from assistant.outline import Outline, Picks
from assistant.slots import SlotType, with_endings

_SPACE = r"(?: |(?<= )|\A|\Z)"
"""A space of the template: none is needed where an optional part before or after was not said."""
_MAX_DEPTH = 20
_PLACEHOLDER = re.compile(r"(\{\w+\})")


@dataclass(frozen=True)
class Template:
    """One template with the types of its slots."""

    source: str
    tree: Node
    types: Mapping[str, SlotType]

    @cached_property
    def slots(self) -> frozenset[str]:
        """The names of the slots that occur in it."""
        return frozenset(slot.name for slot in _slots(self.tree))

    @cached_property
    def certain_slots(self) -> frozenset[str]:
        """The names of the slots that occur in every one of its wordings."""
        return _certain(self.tree)

    @cached_property
    def certain_word(self) -> str:
        """The longest word, or part of one, in every one of its wordings; as in `spoken.key`."""
        return max(_certain_words(self.tree), key=len, default="")

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(_regex(self.tree, self.types, itertools.count()))

    def match(self, key: str) -> tuple[dict[str, Any], int] | None:
        """Match a whole sentence in its `spoken.key` form.

        Returns the typed slots and how many characters the template names itself (a measure of
        how specific it is), or None. Errors of a plugin's own converter other than `ValueError`
        are treated as "does not match".
        """
        found = self._pattern.fullmatch(key)
        if found is None:
            return None
        said = {
            group.rpartition("__")[0]: words
            for group, words in found.groupdict().items()
            if words is not None
        }
        wild = sum(len(words) for name, words in said.items() if self.types[name].wildcard)
        slots = self.read(said)
        return None if slots is None else (slots, len(key) - wild)

    def read(self, said: Mapping[str, str]) -> dict[str, Any] | None:
        """Convert spoken slot words to typed values; None if one of them is not acceptable."""
        try:
            return {name: self.types[name].parse(words) for name, words in said.items()}
        except Exception:  # noqa: BLE001 - a plugin's converter may raise anything
            return None

    @property
    def choices(self) -> "tuple[Choice, ...]":
        """The places where its wording can go more than one way."""
        return self.outline.choices

    def wording(self, picks: Picks) -> str:
        """Write the skeleton that takes option `picks[i]` at `choices[i]`."""
        return self.outline.write(picks)

    @cached_property
    def outline(self) -> Outline:
        """Its wordings, ready to be written many times."""
        return Outline(self.tree)

    def skeletons(self, limit: int, rng: random.Random) -> dict[str, Picks]:
        """List its wordings with open slots: all of them, or up to `limit` drawn at random."""
        ways = [range(len(choice.options)) for choice in self.choices]
        if prod(len(way) for way in ways) <= limit:
            drawn: Iterator[Picks] = itertools.product(*ways)
        else:
            drawn = (tuple(rng.choice(way) for way in ways) for _ in range(limit))
        found = {self.wording(picks): picks for picks in drawn}
        found.pop("", None)
        return found

    def sample(self, rng: random.Random) -> tuple[str, dict[str, str]]:
        """Draw one sentence with every slot filled, and the spoken words of the slots."""
        skeleton = self.wording(tuple(rng.randrange(len(c.options)) for c in self.choices))
        names = dict.fromkeys(open_slots(skeleton))
        said = {name: rng.choice(self.types[name].values) for name in names}
        return spoken.tidy(skeleton.format_map(said)), said


def compile_template(
    source: str, types: Mapping[str, SlotType], rules: Mapping[str, str]
) -> Template:
    """Read a template; raises `ValueError` that says what is wrong with it."""
    tree = _parse(source, rules, depth=0)
    if unknown := sorted({slot.name for slot in _slots(tree)} - types.keys()):
        raise ValueError(
            f"template {source!r}: no parameter of the handler is named {unknown[0]!r}"
        )
    ended = {slot.name: slot.endings for slot in _slots(tree) if any(slot.endings)}
    own = {name: with_endings(types[name], endings) for name, endings in ended.items()}
    template = Template(source, tree, {**types, **own})
    if template.match("") is not None:
        raise ValueError(f"template {source!r} matches silence")
    return template


def named_slots(sources: Iterable[str], rules: Mapping[str, str]) -> dict[str, str]:
    """Name the slots of templates, each with the kind that `{item:text}` gives it, if any does.

    Raises `ValueError` for what is no template, and for a slot of two kinds.
    """
    kinds: dict[str, str] = {}
    for source in sources:
        for slot in _slots(_parse(source, rules, depth=0)):
            if slot.kind and kinds.get(slot.name) not in {None, "", slot.kind}:
                raise ValueError(f"template {source!r}: {slot.name!r} is of two kinds")
            kinds[slot.name] = slot.kind or kinds.get(slot.name, "")
    return kinds


def declared_kinds(sources: Iterable[str], rules: Mapping[str, str]) -> dict[str, str]:
    """Say which kinds templates give their slots, as in `{item:text}`; raises `ValueError`."""
    return {name: kind for name, kind in named_slots(sources, rules).items() if kind}


def open_slots(skeleton: str) -> tuple[str, ...]:
    """Name the slots still open in a skeleton, in order."""
    return tuple(name[1:-1] for name in _PLACEHOLDER.findall(skeleton))


def _parse(source: str, rules: Mapping[str, str], depth: int) -> Node:
    if depth > _MAX_DEPTH:
        raise ValueError(f"rule {source!r} refers to itself")
    return _convert(_read(source), rules, depth)


@lru_cache(4096)  # rules are read again for every template that names them
def _read(source: str) -> Expression:
    try:
        return parse_sentence(source).expression
    except (HassilError, ParseError, AssertionError, ValueError) as error:
        raise ValueError(f"template {source!r}: {error or 'cannot be read'}") from error


def _convert(node: Expression, rules: Mapping[str, str], depth: int) -> Node:
    match node:
        case TextChunk():
            return Text(_words(node.original_text))
        case ListReference():
            kind = "" if node.slot_name == node.list_name else node.slot_name
            return Slot(node.list_name, kind)
        case RuleReference():
            if node.rule_name not in rules:
                raise ValueError(f"rule <{node.rule_name}> is not among the plugin's rules")
            return _parse(rules[node.rule_name], rules, depth + 1)
        case Permutation():
            parts = [_convert(item, rules, depth) for item in node.items]
            return Choice(tuple(Series(order) for order in itertools.permutations(parts)))
        case Alternative():
            return Choice(tuple(_convert(item, rules, depth) for item in node.items))
        case Sequence():
            return Series(tuple(attached(_convert(item, rules, depth) for item in node.items)))
        case _:
            raise ValueError(f"{node} is not supported")


@lru_cache(4096)
def _words(text: str) -> str:
    """Normalise a piece of a template and keep the spaces at its ends."""
    lead, trail = _is_gap(text[:1]), _is_gap(text[-1:])
    words = spoken.normalise(text)
    return f"{' ' * lead}{words}{' ' * trail}" if words else " " * lead


def _is_gap(char: str) -> bool:
    return char != "" and not char.isalnum() and char != "'"


def _regex(node: Node, types: Mapping[str, SlotType], numbers: Iterator[int]) -> str:
    match node:
        case Text(text):
            return re.escape(text.replace("'", "")).replace(r"\ ", _SPACE)
        case Slot(name):
            return f"{_SPACE}(?P<{name}__{next(numbers)}>{types[name].pattern}){_SPACE}"
        case Series(parts):
            return "".join(_regex(part, types, numbers) for part in parts)
        case Choice(options):
            return f"(?:{'|'.join(_regex(option, types, numbers) for option in options)})"


def _slots(node: Node) -> Iterator[Slot]:
    match node:
        case Slot():
            yield node
        case Series(parts) | Choice(parts):
            for part in parts:
                yield from _slots(part)
        case Text():
            return


def _certain(node: Node) -> frozenset[str]:
    match node:
        case Text():
            return frozenset()
        case Slot(name):
            return frozenset({name})
        case Series(parts):
            return frozenset().union(*(_certain(part) for part in parts))
        case Choice(options):
            return frozenset.intersection(*(_certain(option) for option in options))


def _certain_words(node: Node) -> Iterator[str]:
    match node:
        case Text(text):
            yield from text.replace("'", "").split()
        case Series(parts):
            for part in parts:
                yield from _certain_words(part)
        case _:
            return
