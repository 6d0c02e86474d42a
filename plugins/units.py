"""Unit conversion: length, weight, volume (as in the United States), time and temperature."""

import asyncio
from fractions import Fraction
from functools import cache
from math import floor, log10
from typing import Annotated, Any

from assistant.plugin import Choices, Context, Plugin, Turn, say_decimal

_UNITS = {
    "length": ("metre", "kilometre", "centimetre", "millimetre", "mile", "yard", "foot", "inch"),
    "weight": ("gram", "kilogram", "milligram", "tonne", "pound", "ounce", "stone"),
    "volume": (
        *("litre", "millilitre", "centilitre", "gallon", "quart", "pint", "cup", "fluid ounce"),
        *("tablespoon", "teaspoon"),
    ),
    "time": ("second", "minute", "hour", "day", "week"),
    "temperature": ("degree celsius", "degree fahrenheit", "kelvin"),
}
_KINDS = {unit: kind for kind, units in _UNITS.items() for unit in units}
_LATER_S = 8.0  # when the start, which is in a hurry, is over
_PLURALS = {"foot": "feet", "inch": "inches", "stone": "stone", "kelvin": "kelvin"}
_OTHERS = {
    "metre": ["m"],
    "kilometre": ["km", "k m", "kays"],
    "centimetre": ["cm"],
    "millimetre": ["mm"],
    "gram": ["gramme", "grammes"],
    "kilogram": ["kilo", "kilos", "kg"],
    "tonne": ["metric ton", "metric tons"],
    "pound": ["lb", "lbs"],
    "litre": ["l"],
    "millilitre": ["ml"],
    "degree celsius": ["celsius", "centigrade", "degrees centigrade", "degree centigrade"],
    "degree fahrenheit": ["fahrenheit"],
}


def _plural(unit: str) -> str:
    first, _, rest = unit.partition(" ") if unit.startswith("degree") else (unit, "", "")
    return _PLURALS.get(unit) or f"{first}s {rest}".strip()


def _spellings(unit: str) -> list[str]:
    said = [_plural(unit), unit]
    american = [each.replace("metre", "meter").replace("litre", "liter") for each in said]
    return list(dict.fromkeys([*said, *american, *_OTHERS.get(unit, [])]))


Unit = Annotated[str, Choices({unit: _spellings(unit) for unit in _KINDS})]
_PARTS = {
    "1/2": ["half a", "half an", "and a half"],
    "1/4": ["a quarter of a", "a quarter of an", "and a quarter"],
    "3/4": ["three quarters of a", "three quarters of an", "and three quarters"],
}
Part = Annotated[str, Choices(_PARTS)]

plugin = Plugin(
    "units",
    about="convert units",
    rules={
        "amount": "({amount} [{part}]|{part}|a|an)",
        "in": "(in|into|to|as)",
        "of": "((are|is|are there|is there|go|make up|make) [in|into]|in|to|do|does)",
        "how": "how (much|many|long|far|heavy|hot|warm|cold) (is|are)",
        "say": "(what is|what's|tell me|<how>|convert|change|turn|translate)",
    },
)


@plugin.on_start
async def prepare(home: Context) -> None:
    """Read what pint knows, which takes a third of a second, before somebody waits for it."""
    loop = asyncio.get_running_loop()
    loop.call_later(_LATER_S, loop.run_in_executor, None, _registry)


_HOW_MANY = "how many {target} <of> <amount> {unit} [have|make]"
_IN = "[<say>] <amount> {unit} <in> {target}"
_EXAMPLES: dict[str, dict[str, dict[str, Any]]] = {
    "length": {"convert ten miles to kilometres": {"amount": 10, "target": "kilometre"}},
    "weight": {"how many ounces are in two and a half pounds": {"amount": 2.5}},
    "volume": {"half a litre in cups": {"part": "1/2", "unit": "litre", "target": "cup"}},
    "time": {"how many minutes are there in three hours": {"unit": "hour", "target": "minute"}},
    "temperature": {"what is 70 degrees fahrenheit in celsius": {"target": "degree celsius"}},
}


def _listen(kind: str, units: Choices) -> None:
    """Listen for units of one kind: it is no good hearing how many metres are in a litre."""

    async def convert(
        turn: Turn,
        unit: Annotated[str, units],
        target: Annotated[str, units],
        amount: float | None = None,
        part: Part = "0",
    ) -> str:
        given = Fraction(part) + Fraction(part == "0" if amount is None else str(amount))
        result = await asyncio.to_thread(_convert, given, unit, target)
        return f"{_say(given, unit)} is {_say(result, target)}.".capitalize()

    convert.__name__ = kind
    plugin.intent(_HOW_MANY, _IN, examples=_EXAMPLES[kind], min_confidence=0.9)(convert)


for _kind, _units in _UNITS.items():
    _listen(_kind, Choices({unit: _spellings(unit) for unit in _units}))


@plugin.intent(
    _HOW_MANY,
    _IN,
    examples={"convert three kilos to metres": {"unit": "kilogram", "target": "metre"}},
    listened_for=False,
    priority=-1,
)
async def refuse(
    turn: Turn, unit: Unit, target: Unit, amount: float = 1, part: Part = "0"
) -> str | None:
    """Say why there is no answer."""
    if _KINDS[unit] == _KINDS[target]:
        return None
    why = f"one is a {_KINDS[unit]}, the other a {_KINDS[target]}"
    return f"I can't turn {_plural(unit)} into {_plural(target)}: {why}."


@cache
def _registry() -> Any:
    from pint import UnitRegistry

    return UnitRegistry(non_int_type=Fraction)


def _convert(amount: Fraction, unit: str, target: str) -> Fraction:
    known, names = _registry(), (each.removeprefix("degree ") for each in (unit, target))
    source, wanted = (name.replace(" ", "_") for name in names)
    return Fraction(known.Quantity(amount, source).to(wanted).magnitude)


def _say(value: Fraction, unit: str) -> str:
    """Speak an amount to four significant digits."""
    name = unit if abs(value) == 1 else _plural(unit)
    digits = 3 - floor(log10(abs(value))) if value else 0
    places = min(6, max(0, digits))
    about = "" if (value * 10**places).denominator == 1 else "about "
    return f"{about}{say_decimal(value, places)} {name}"
