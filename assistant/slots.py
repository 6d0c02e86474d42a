"""Slots typed by a handler's signature: what may be said, and the value it becomes."""

import contextlib
import inspect
import re
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import time, timedelta
from enum import Enum
from fractions import Fraction
from functools import lru_cache, partial
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from assistant import spoken, spoken_values
from assistant.nodes import Node

Words = Iterable[Any] | Mapping[Any, Iterable[str] | str]
"""Spoken values; a mapping gives each value its synonyms, which are spoken instead of it."""


@dataclass(frozen=True, slots=True, eq=False)  # by identity: its words cannot be hashed
class Choices:
    """A list slot: `Annotated[str, Choices(["red", "blue"])]`.

    With synonyms: `Choices({"off": ["off", "out"]})`. From the plugin's configuration:
    `Choices(lambda config: config.rooms)`. Beside a `Literal` or an `Enum` it gives their
    values synonyms.
    """

    words: Words | Callable[[Any], Words]


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of an `int` or `float` slot, both included: `Annotated[int, Range(0, 100)]`."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, init=False)
class Samples:
    """What people say in a free text slot: `Annotated[str, Samples("pasta", "tea")]`.

    They do not restrict what is accepted; the model is trained and helped by them.
    """

    texts: tuple[str, ...]

    def __init__(self, *texts: str) -> None:
        object.__setattr__(self, "texts", texts)


@dataclass(frozen=True, slots=True, eq=False)
class Converter:
    """Any other type: `Annotated[Colour, Converter(Colour.parse, samples=("red",))]`.

    `parse` gets the spoken words and raises `ValueError` for what it does not accept.
    """

    parse: Callable[[str], Any]
    samples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SlotType:
    """How one slot is heard and read."""

    pattern: str
    """Regular expression over `spoken.key` words."""
    parse: Callable[[str], Any]
    """From words to the typed value; raises `ValueError`."""
    values: tuple[str, ...]
    """All the spoken values of a list, and common ones of anything else."""
    wildcard: bool = False
    """Any words at all are accepted."""
    heard: Node | None = None
    """What to listen for, where that is more than `values`."""


BOUNDARY = r"\b"
_ANYTHING = r"\w+(?: \w+)*?"
_TEXTS: tuple[str, ...] = (
    *("milk", "bread", "apples", "coffee", "paper towels", "the laundry", "call mom", "pizza"),
    *("homework", "dog food", "olive oil", "a birthday card", "batteries", "the meeting"),
)
_MAX_LISTED = 200


def slot_types(
    handler: Callable[..., Any],
    config: object,
    kinds: Mapping[str, str] | None = None,
    known: dict[int, tuple[Any, SlotType]] | None = None,
) -> dict[str, SlotType]:
    """Read the slot types of `handler` from its signature, in order; the turn is not one.

    `kinds` are what templates say of parameters that are not annotated. `known` remembers the
    annotations of one plugin, so that those that are the same object give the same type. Raises
    `TypeError` or `ValueError` naming the parameter whose type cannot be a slot.
    """
    hints = get_type_hints(handler, include_extras=True)
    hints = {**{name: _kind(name, kind) for name, kind in (kinds or {}).items()}, **hints}
    known = {} if known is None else known
    found = {}
    for name in [*inspect.signature(handler).parameters][1:]:
        if name not in hints:
            raise TypeError(f"slot {name!r} has no type annotation")
        hint = hints[name]
        try:
            if id(hint) not in known:
                known[id(hint)] = (hint, slot_type(hint, config))
            found[name] = known[id(hint)][1]
        except (TypeError, ValueError, AttributeError, NameError) as error:
            raise TypeError(f"slot {name!r}: {error}") from error
    return found


def slot_type(hint: Any, config: object) -> SlotType:
    """Read one annotation. Raises `TypeError` or `ValueError` for one that cannot be a slot."""
    if get_origin(hint) in (Union, types.UnionType):
        inner = [part for part in get_args(hint) if part is not type(None)]
        if len(inner) != 1:
            raise TypeError(f"{hint} is not one type")
        return slot_type(inner[0], config)
    if get_origin(hint) is Annotated:
        base, *notes = get_args(hint)
        return _annotated(base, notes, config)
    if get_origin(hint) is Literal:
        return _choices({str(value): value for value in get_args(hint)}, {})
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _choices({_enum_words(member): member for member in hint}, {})
    if hint in _PLAIN:
        return _PLAIN[hint]
    raise TypeError(f"{hint} cannot be a slot; use Annotated with a Converter")


def with_endings(kind: SlotType, endings: tuple[str, ...]) -> SlotType:
    """Let letters follow the words of a slot: the "s" of "two lattes"."""

    def parse(words: str) -> Any:
        for ending in sorted(endings, key=len, reverse=True):
            if words.endswith(ending):
                with contextlib.suppress(ValueError, KeyError):
                    return kind.parse(words.removesuffix(ending))
        raise ValueError(f"{words!r} does not end in one of {endings}")

    some = "|".join(re.escape(ending) for ending in endings)
    pattern = rf"(?:{kind.pattern.removesuffix(BOUNDARY)})(?:{some})\b"
    values = tuple(value + ending for value in kind.values for ending in endings)
    heard = kind.heard and spoken_values.with_ending(kind.heard, endings)
    return replace(kind, pattern=pattern, parse=parse, values=values, heard=heard)


def jsonable(slots: Mapping[str, Any]) -> dict[str, Any]:
    """Turn typed slots into what JSON can hold: durations in seconds, times as "HH:MM"."""
    return {name: _plain_value(value) for name, value in slots.items() if value is not None}


def _plain_value(value: Any) -> Any:
    match value:
        case Enum():
            return _plain_value(value.value)
        case timedelta():
            seconds = value.total_seconds()
            return int(seconds) if seconds.is_integer() else seconds
        case time():
            return value.strftime("%H:%M")
        case str() | int() | float() | bool():
            return value
        case _:
            return str(value)


def _annotated(base: Any, notes: list[Any], config: object) -> SlotType:
    for note in notes:
        match note:
            case Converter(parse=parse, samples=samples):
                return SlotType(_ANYTHING, parse, samples or _TEXTS, wildcard=not samples)
            case Choices(words=words):
                return _listed(base, words(config) if callable(words) else words)
            case Range(low=low, high=high):
                return _decimals(low, high) if base is float else _whole(int(low), int(high))
            case Samples(texts=texts) if texts:
                return replace(slot_type(base, config), values=texts)
            case _:
                continue
    return slot_type(base, config)


def _listed(base: Any, words: Words) -> SlotType:
    """Build a list of strings, or give the values of a `Literal` or `Enum` their synonyms."""
    table = words if isinstance(words, Mapping) else dict.fromkeys(words, ())
    synonyms = {
        _name(value): (said,) if isinstance(said, str) else tuple(said)
        for value, said in table.items()
    }
    if get_origin(base) is Literal:
        values = {str(value): value for value in get_args(base)}
    elif isinstance(base, type) and issubclass(base, Enum):
        values = {_enum_words(member): member for member in base}
    else:
        values = {_name(value): str(value) if base is str else value for value in table}
    if unknown := synonyms.keys() - values.keys():
        raise ValueError(f"synonyms for {sorted(unknown)}, which are none of {sorted(values)}")
    return _choices(values, synonyms)


def _choices(values: Mapping[str, Any], synonyms: Mapping[str, tuple[str, ...]]) -> SlotType:
    table: dict[str, Any] = {}
    texts: list[str] = []
    for name, value in values.items():
        for said in synonyms.get(name) or (name,):
            texts.append(said)
            if table.setdefault(spoken.key(said), value) != value:
                raise ValueError(f"{said!r} stands for two values")
    table.pop("", None)
    if not table:
        raise ValueError("there is nothing to choose from")
    normal = tuple(map(spoken.normalise, texts))
    heard = _with_digits(texts, table)
    longest_first = sorted(table, key=len, reverse=True)
    pattern = "|".join(re.escape(said) for said in longest_first)
    return SlotType(rf"(?:{pattern}){BOUNDARY}", table.__getitem__, normal, heard=heard)


def _with_digits(texts: list[str], table: dict[str, Any]) -> Node | None:
    """Add to `table` the other ways to say numbers in its texts; gives all ways, if there are."""
    said: dict[str, None] = {}
    for text in texts:
        usual, *others = spoken_values.wordings(text)
        value = table.get(spoken.key(usual))
        kept = (each for each in others if table.setdefault(spoken.key(each), value) == value)
        said |= dict.fromkeys((usual, *kept))
    more = len(said) > len({spoken.normalise(text) for text in texts})
    return spoken_values.one_of(*said) if more else None


def _kind(name: str, kind: str) -> Any:
    if kind not in _KINDS:
        raise ValueError(f"slot {name!r}: {kind!r} is no kind of slot; use {', '.join(_KINDS)}")
    return _KINDS[kind]


def _name(value: object) -> str:
    return _enum_words(value) if isinstance(value, Enum) else str(value)


def _enum_words(member: Enum) -> str:
    return member.value if isinstance(member.value, str) else member.name.replace("_", " ")


def _within(low: float, high: float, read: Callable[[str], int | float], words: str) -> int | float:
    number = read(words)
    if not low <= number <= high:
        raise ValueError(f"{number} is not between {low} and {high}")
    return number


@lru_cache(64)
def _whole(low: int, high: int) -> SlotType:
    step = max(1, (high - low) // _MAX_LISTED)
    said = tuple(spoken.say_number(number) for number in range(low, high + 1, step))
    parse = partial(_within, low, high, spoken.parse_integer)
    return SlotType(spoken.INTEGER, parse, said, heard=spoken_values.numbers(low, high))


@lru_cache(64)
def _decimals(low: float, high: float) -> SlotType:
    step = (high - low) / 40 or 1.0
    numbers = (Fraction(str(round(low + step * place, 1))) for place in range(41))
    said = dict.fromkeys(spoken.say_decimal(each) for each in numbers if low <= each <= high)
    heard = spoken_values.decimals(low, high)
    return SlotType(
        spoken.DECIMAL,
        partial(_within, low, high, spoken.parse_decimal),
        tuple(said),
        heard=spoken_values.one_of(*said, heard),
    )


_PLAIN: dict[Any, SlotType] = {
    str: SlotType(_ANYTHING, str, _TEXTS, wildcard=True),
    int: replace(_whole(0, 100), parse=spoken.parse_integer, heard=spoken_values.numbers()),
    float: SlotType(
        spoken.DECIMAL,
        spoken.parse_decimal,
        spoken_values.COMMON_DECIMALS,
        heard=spoken_values.decimals(),
    ),
    timedelta: SlotType(
        spoken.DURATION,
        spoken.parse_duration,
        spoken_values.COMMON_DURATIONS,
        heard=spoken_values.durations(),
    ),
    time: SlotType(
        spoken.TIME, spoken.parse_time, spoken_values.COMMON_TIMES, heard=spoken_values.times()
    ),
}
_KINDS: dict[str, Any] = {"text": str, "number": int, "int": int, "float": float}
_KINDS |= {"duration": timedelta, "time": time}
