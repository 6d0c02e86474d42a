"""The ways in which people say numbers, lengths of time and times of day: what to listen for.

A sound is held against these words and no others, so what is missing here is heard as something
else: "half an hour" for "three quarters of an hour". All of it can be read by `assistant.spoken`.
"""

import itertools
import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import cache
from math import ceil, floor

from assistant import spoken
from assistant.nodes import Choice, Node, Series, Text
from assistant.spoken import say_number

_COMMON = (*range(1000), *range(1000, 20_001, 100))
"""Whole numbers that are listened for where nothing bounds them."""
_ALL_BELOW = 10_000
"""Of a slot bounded by this, each number is listened for."""
_FRACTION_BELOW = 500
"""Numbers from here on are hardly ever said with a fraction."""
_UNITS = ("second", "minute", "hour", "day", "week")
_DIGITS = re.compile(r"(?<!\d\.)\d+(?!\.?\d)")
_MOST_WORDINGS = 32


def one_of(*options: str | Node) -> Choice:
    """Any of some words, or of some parts."""
    return Choice(tuple(Text(each) if isinstance(each, str) else each for each in options))


def _in_turn(*parts: str | Node) -> Series:
    return Series(tuple(Text(each) if isinstance(each, str) else each for each in parts))


def _perhaps(*parts: str | Node) -> Choice:
    return one_of(_in_turn(*parts), "")


@cache
def ways(number: int) -> tuple[str, ...]:
    """Every way to say a whole number: "one hundred twenty", "a hundred and twenty", "one twenty".

    The first is that of `spoken.say_number`.
    """
    if number < 0:
        return tuple(f"minus {words}" for words in ways(-number))
    named = say_number(number)
    found = [named, named.replace("hundred ", "hundred and ")]
    if number >= 100:  # noqa: PLR2004 - as in "a hundred"
        found += [f"a {words.removeprefix('one ')}" for words in found if words.startswith("one ")]
    hundreds, rest = divmod(number, 100)
    if 0 < hundreds < 10 and 0 < rest < 10:  # noqa: PLR2004 - as in "one oh five"
        found.append(f"{say_number(hundreds)} oh {say_number(rest)}")
    elif 0 < hundreds < 10 and rest >= 20:  # noqa: PLR2004 - as in "three fifty"
        found.append(f"{say_number(hundreds)} {say_number(rest)}")
    elif 10 < hundreds < 100 and not rest and hundreds % 10:  # noqa: PLR2004 - "fifteen hundred"
        found.append(f"{say_number(hundreds)} hundred")
    return tuple(dict.fromkeys(found))


@cache
def numbers(low: float | None = None, high: float | None = None) -> Choice:
    """Whole numbers from `low` to `high`, each in all ways; without bounds the common ones."""
    return _said(_between(low, high))


@cache
def decimals(low: float | None = None, high: float | None = None) -> Choice:
    """The same with and without a fraction."""
    fraction = one_of(
        _in_turn("point", one_of(*map(say_number, range(1, 10)), "two five", "seven five")),
        "and a half",
    )
    broken: Iterable[int] = _COMMON
    if low is not None and high is not None:
        # a fraction leads away from zero, and must not lead out of the bounds
        around = _between(floor(low), ceil(high))
        broken = (n for n in around if (n < ceil(high) if n >= 0 else n > floor(low)))
    parted = _said(number for number in broken if abs(number) < _FRACTION_BELOW)
    return one_of(numbers(low, high), _in_turn(parted, fraction))


def _said(some: Iterable[int]) -> Choice:
    return one_of(*itertools.chain.from_iterable(ways(number) for number in some))


def _between(low: float | None, high: float | None) -> Iterable[int]:
    if low is None or high is None:
        return _COMMON
    if low > -_ALL_BELOW and high < _ALL_BELOW:
        return range(ceil(low), floor(high) + 1)
    return [number for number in _COMMON if low <= number <= high]


@cache
def durations() -> Choice:
    """Lengths of time, from a second to some weeks."""
    halved = (
        each
        for unit in _UNITS
        for a_unit in [f"{_article(unit)} {unit}"]
        for each in (f"half {a_unit}", f"{a_unit} and a half", f"one {unit} and a half")
    )
    plural = one_of(*(f"{unit}s" for unit in _UNITS))
    rest = _in_turn(_perhaps("and"), _counted(_UNITS[:3]))
    return one_of(
        *("a quarter of an hour", "three quarters of an hour", "an hour and a quarter"),
        *halved,
        _in_turn("a couple of", plural),
        _in_turn(numbers(1, 24), "and a half", plural),
        _in_turn(_counted(_UNITS[1:4]), _perhaps(rest)),
        _in_turn(numbers(60, 300), one_of("seconds", "minutes", "hours", "days")),
        _counted(("second", "week")),
    )


def _counted(units: Iterable[str]) -> Choice:
    """Some of a unit, fewer than sixty."""
    one = (f"{some} {unit}" for unit in units for some in (_article(unit), "one"))
    return one_of(*one, _in_turn(numbers(2, 59), one_of(*(f"{unit}s" for unit in units))))


def _article(unit: str) -> str:
    return "an" if unit == "hour" else "a"


@cache
def times() -> Choice:
    """Times of day, to the minute."""
    morning = one_of(
        *("", "am", "pm", "in the morning", "in the afternoon", "in the evening", "at night")
    )
    hour = numbers(1, 12)
    minute = one_of(_in_turn("oh", numbers(1, 9)), numbers(10, 59))
    part = one_of("quarter", "a quarter", _in_turn(numbers(1, 29), _perhaps("minutes")))
    return one_of(
        *("noon", "midday", "midnight"),
        _in_turn(hour, one_of("", "o'clock", minute), morning),
        _in_turn(part, one_of("past", "after", "to"), hour, morning),
        _in_turn("half past", hour, morning),
        _in_turn(numbers(13, 23), minute),
    )


def with_ending(node: Node, endings: tuple[str, ...]) -> Node:
    """Let letters follow the last word."""
    match node:
        case Text(text):
            return one_of(*(text + ending for ending in endings))
        case Series((*parts, last)):
            return Series((*parts, with_ending(last, endings)))
        case Choice(options):
            return Choice(tuple(with_ending(option, endings) for option in options))
        case _:
            return node


def wordings(text: str) -> tuple[str, ...]:
    """Every way to say a text with digits in it, in `spoken.normalise` form, the usual one first.

    "Blink-182" is "blink one hundred eighty two" and "blink one eighty two".
    """
    whole = re.sub(r"(\d),(?=\d{3})", r"\1", text)
    parts = _DIGITS.split(whole)
    said = [tuple(_named_by(digits)) for digits in _DIGITS.findall(whole)]
    combined = itertools.islice(itertools.product(*said), _MOST_WORDINGS)
    found = (
        "".join(itertools.chain(*itertools.zip_longest(parts, each, fillvalue="")))
        for each in combined
    )
    return tuple(dict.fromkeys((spoken.normalise(text), *map(spoken.normalise, found))))


def _named_by(digits: str) -> Iterator[str]:
    """The ways to say the digits of a name: as a number, in pairs, one by one; with spaces."""
    number = int(digits)
    if len(digits) <= 4 and digits[0] != "0":  # noqa: PLR2004 - longer ones are said in parts
        yield from (f" {words} " for words in ways(number))
        if number >= 1010 and number % 100 >= 10:  # noqa: PLR2004 - as years
            yield f" {say_number(number // 100)} {say_number(number % 100)} "
    yield f" {' '.join(say_number(int(digit)) for digit in digits)} "


def _durations() -> Iterator[str]:
    yield from ("an hour and a half", "half an hour", "an hour", "two and a half hours")
    yield from ("a quarter of an hour", "a minute and a half", "one minute and thirty seconds")
    for seconds in (*range(5, 60, 5), 90, *range(60, 3600, 60)):
        yield spoken.say_duration(timedelta(seconds=seconds))
    for hours in range(1, 13):
        yield spoken.say_duration(timedelta(hours=hours))
    yield "ninety seconds"
    yield from (f"one hour and {say_number(minutes)} minutes" for minutes in (5, 10, 20, 45))


def _times() -> Iterator[str]:
    yield from ("noon", "midnight")
    for hour in (say_number(number) for number in range(1, 13)):
        for half in ("", " am", " pm", " in the morning", " in the evening"):
            yield f"{hour}{half}"
        yield from (f"{hour} o'clock", f"half past {hour}", f"quarter past {hour}")
        yield from (f"quarter to {hour}", f"{hour} thirty", f"{hour} fifteen", f"{hour} forty five")


COMMON_DURATIONS = tuple(dict.fromkeys(_durations()))
"""What is often said, to learn from and to guess by."""
COMMON_TIMES = tuple(_times())
COMMON_DECIMALS = (*map(say_number, range(31)), "one point five", "two point five")
