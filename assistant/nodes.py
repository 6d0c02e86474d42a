"""The parts of a template, as a tree."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Text:
    """Words."""

    text: str


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot by its name."""

    name: str
    kind: str = ""
    """What `{name:kind}` says of it."""
    endings: tuple[str, ...] = ("",)
    """Letters that follow without a space, as in `{drink}[s]`."""


@dataclass(frozen=True, slots=True)
class Series:
    """Parts, one after the other."""

    parts: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some parts."""

    options: "tuple[Node, ...]"


Node = Text | Slot | Series | Choice


def attached(parts: Iterable[Node]) -> Iterator[Node]:
    """Give each slot the letters that follow it in the same word."""
    slot: Slot | None = None
    for part in parts:
        rest = part
        if slot is not None:
            endings, rest = _endings(part)
            yield replace(slot, endings=endings)
            slot = None
        if isinstance(rest, Slot):
            slot = rest
        else:
            yield rest
    if slot is not None:
        yield slot


def _endings(node: Node) -> tuple[tuple[str, ...], Node]:
    """Split letters off the beginning of what follows a slot."""
    match node:
        case Text(text) if text[:1] not in ("", " "):
            letters, space, rest = text.partition(" ")
            return (letters.replace("'", ""),), Text(space + rest)
        case Choice(options):
            texts = [_only_letters(option) for option in options]
            endings = tuple(text for text in texts if text is not None)
            if any(endings) and len(endings) == len(options):
                return endings, Text("")
    return ("",), node


def _only_letters(node: Node) -> str | None:
    match node:
        case Text(text) if " " not in text:
            return text.replace("'", "")
        case Series(()):
            return ""
        case Series((only,)):
            return _only_letters(only)
        case _:
            return None
