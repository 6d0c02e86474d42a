"""Unit conversion: length, weight, volume (as in the United States), time and temperature."""

import asyncio
from fractions import Fraction
from functools import cache
from math import floor, log10
from typing import Annotated, Any

from assistant.plugin import Choices, Plugin, Turn, say_decimal

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
Part = Annotated[
    str,
    Choices(
        {
            "1/2": ["half a", "half an", "and a half"],
            "1/4": ["a quarter of a", "a quarter of an", "and a quarter"],
            "3/4": ["three quarters of a", "three quarters of an", "and three quarters"],
        }
    ),
]

plugin = Plugin(
    "units",
    about="convert units",
    rules={
        "what": "(what is|what's|how much is|tell me)",
        "amount": "({amount} [{part}]|{part}|a|an)",
        "in": "(in|into|to|as)",
    },
)


@plugin.intent(
    "how many {target} (are|is|are there|is there|go|make up|make) [in|into] <amount> {unit}",
    "how many {target} (in|to) <amount> {unit}",
    "how many {target} (does|do) <amount> {unit} (have|make)",
    "how (much|many|long|far|heavy|hot|warm|cold) (is|are) <amount> {unit} in {target}",
    "(convert|change|turn|translate) <amount> {unit} <in> {target}",
    "[<what>] <amount> {unit} <in> {target}",
    examples={
        "how many grams are in a pound": {"unit": "pound", "target": "gram"},
        "how many ounces are in two and a half pounds": {"amount": 2, "part": "1/2"},
        "convert ten miles to kilometres": {"amount": 10, "unit": "mile", "target": "kilometre"},
        "what is seventy degrees fahrenheit in celsius": {"target": "degree celsius"},
        "how many minutes are there in three hours": {"unit": "hour", "target": "minute"},
        "half a litre in cups": {"part": "1/2", "unit": "litre", "target": "cup"},
    },
    min_confidence=0.9,
)
async def convert(
    turn: Turn, unit: Unit, target: Unit, amount: float | None = None, part: Part = "0"
) -> str:
    """Say an amount in another unit."""
    if _KINDS[unit] != _KINDS[target]:
        return f"I can't turn {_plural(unit)} into {_plural(target)}: {_why(unit, target)}."
    whole = Fraction(str(amount)) if amount is not None else Fraction(part == "0")
    given = whole + Fraction(part)
    result = await asyncio.to_thread(_convert, given, unit, target)
    return f"{_say(given, unit)} is {_say(result, target)}.".capitalize()


@cache
def _registry() -> Any:
    # Reading what pint knows takes a quarter of a second, which only those who ask should pay.
    from pint import UnitRegistry

    return UnitRegistry(non_int_type=Fraction)


def _convert(amount: Fraction, unit: str, target: str) -> Fraction:
    known, names = _registry(), (each.removeprefix("degree ") for each in (unit, target))
    source, wanted = (name.replace(" ", "_") for name in names)
    return Fraction(known.Quantity(amount, source).to(wanted).magnitude)


def _why(unit: str, target: str) -> str:
    return f"one is a {_KINDS[unit]}, the other a {_KINDS[target]}"


def _say(value: Fraction, unit: str) -> str:
    """Speak an amount to four significant digits."""
    name = unit if abs(value) == 1 else _plural(unit)
    digits = 3 - floor(log10(abs(value))) if value else 0
    places = min(6, max(0, digits))
    about = "" if (value * 10**places).denominator == 1 else "about "
    return f"{about}{say_decimal(value, places)} {name}"
