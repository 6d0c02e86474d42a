"""Templates of what people say: `(a|b)` is a choice, `[a|b]` is optional, `{slot}` is filled."""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(r"\{[a-z_]+\}|[()\[\]|]|[^()\[\]|{}]+|.")


class WordingError(ValueError):
    """A template that cannot be read."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A place to fill."""

    name: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several sequences."""

    options: tuple["Wording", ...]


Wording = tuple["str | Slot | Choice", ...]
"""A parsed template: its parts in order."""

Values = Mapping[str, Sequence[str]]
"""What each slot may be filled with."""


def parse(template: str) -> Wording:
    """Read a template; raises `WordingError` where brackets do not match or a slot is malformed."""
    tokens = _TOKEN.findall(template)[::-1]
    choice = _choice(tokens, template)
    if tokens:
        raise WordingError(f"unbalanced {tokens[-1]!r} in {template!r}")
    return (choice,) if len(choice.options) > 1 else choice.options[0]


def _choice(tokens: list[str], template: str) -> Choice:
    options: list[Wording] = []
    parts: list[str | Slot | Choice] = []
    while tokens and tokens[-1] not in (")", "]"):
        match tokens.pop():
            case "|":
                options.append(tuple(parts))
                parts = []
            case "(" | "[" as opened:
                inner = _choice(tokens, template)
                if not tokens or tokens.pop() != {"(": ")", "[": "]"}[opened]:
                    raise WordingError(f"unbalanced {opened!r} in {template!r}")
                parts.append(Choice((*inner.options, ())) if opened == "[" else inner)
            case "{" | "}" as stray:
                raise WordingError(f"stray {stray!r} in {template!r}")
            case token if token.startswith("{"):
                parts.append(Slot(token[1:-1]))
            case token:
                parts.append(token)
    return Choice((*options, tuple(parts)))


def slots(wording: Wording) -> set[str]:
    """Names of all slots that can occur."""
    return _slots(wording, required=False)


def required_slots(wording: Wording) -> set[str]:
    """Names of the slots that occur whichever way the choices fall."""
    return _slots(wording, required=True)


def _slots(wording: Wording, *, required: bool) -> set[str]:
    names: set[str] = set()
    for part in wording:
        match part:
            case Slot(name):
                names.add(name)
            case Choice(options):
                inner = [_slots(option, required=required) for option in options]
                names |= set.intersection(*inner) if required else set.union(*inner)
    return names


def draw(wording: Wording, values: Values, rng: random.Random) -> str:
    """One wording at random; a slot that occurs twice may be filled in two ways."""
    said = []
    for part in wording:
        match part:
            case Slot(name):
                said.append(rng.choice(values[name]))
            case Choice(options):
                said.append(draw(rng.choice(options), values, rng))
            case text:
                said.append(text)
    return "".join(said)


def expand(wording: Wording, values: Values) -> Iterator[str]:
    """Every wording, lazily: the number multiplies quickly, so cut it with `islice`."""
    if not wording:
        yield ""
        return
    first, rest = wording[0], wording[1:]
    match first:
        case Slot(name):
            heads: Iterator[str] = iter(values[name])
        case Choice(options):
            heads = (head for option in options for head in expand(option, values))
        case text:
            heads = iter((text,))
    for head in heads:
        for tail in expand(rest, values):
            yield head + tail


def matches(
    wording: Wording, values: Mapping[str, Mapping[str, str]], said: str
) -> Iterator[dict[str, str]]:
    """Each way in which `said`, written without spaces, is a wording: what fills the slots.

    `values` gives for each slot the squeezed spelling and the value it stands for.
    """
    if not wording:
        if not said:
            yield {}
        return
    first, rest = wording[0], wording[1:]
    match first:
        case Slot(name):
            for end in range(1, len(said) + 1):
                if (value := values[name].get(said[:end])) is not None:
                    for filled in matches(rest, values, said[end:]):
                        yield {name: value, **filled}
        case Choice(options):
            for option in options:
                yield from matches((*option, *rest), values, said)
        case text:
            squeezed = text.replace(" ", "")
            if said.startswith(squeezed):
                yield from matches(rest, values, said[len(squeezed) :])
