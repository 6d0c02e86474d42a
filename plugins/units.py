"""Unit conversion: length, weight, volume (as in the United States), time and temperature."""

from fractions import Fraction
from math import floor, log10
from typing import Annotated

from assistant.plugin import Choices, Plugin, Turn, say_decimal

_SIZES = {
    "length": "metre 1, kilometre 1000, centimetre 0.01, millimetre 0.001, mile 1609.344,"
    "yard 0.9144, foot 0.3048, inch 0.0254",
    "weight": "gram 1, kilogram 1000, milligram 0.001, tonne 1000000, pound 453.59237,"
    "ounce 28.349523125, stone 6350.29318",
    "volume": "litre 1, millilitre 0.001, centilitre 0.01, gallon 3.785411784, quart 0.946352946,"
    "pint 0.473176473, cup 0.2365882365, fluid ounce 0.0295735295625,"
    "tablespoon 0.01478676478125, teaspoon 0.00492892159375",
    "time": "second 1, minute 60, hour 3600, day 86400, week 604800",
    "temperature": "degree celsius 1, degree fahrenheit 5/9, kelvin 1",
}
"""How many of the first unit of its kind each unit is."""
_ZEROS = {"degree fahrenheit": Fraction(-160, 9), "kelvin": Fraction("-273.15")}
"""Where a scale has its zero, in degrees Celsius."""
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
_KINDS: dict[str, str] = {}
_SIZE: dict[str, Fraction] = {}
for _kind, _units in _SIZES.items():
    for _unit, _, _size in (each.strip().rpartition(" ") for each in _units.split(",")):
        _KINDS[_unit], _SIZE[_unit] = _kind, Fraction(_size)


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
    base = given * _SIZE[unit] + _ZEROS.get(unit, 0)
    result = (base - _ZEROS.get(target, 0)) / _SIZE[target]
    return f"{_say(given, unit)} is {_say(result, target)}.".capitalize()


def _why(unit: str, target: str) -> str:
    return f"one is a {_KINDS[unit]}, the other a {_KINDS[target]}"


def _say(value: Fraction, unit: str) -> str:
    """Speak an amount to four significant digits."""
    name = unit if abs(value) == 1 else _plural(unit)
    digits = 3 - floor(log10(abs(value))) if value else 0
    places = min(6, max(0, digits))
    about = "" if (value * 10**places).denominator == 1 else "about "
    return f"{about}{say_decimal(value, places)} {name}"
