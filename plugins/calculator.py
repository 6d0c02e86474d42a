"""Arithmetic as people say it, exact: sums, products, percentages, parts, powers and roots."""

from fractions import Fraction
from math import floor, isqrt, log10
from operator import add, mul, sub, truediv
from typing import Annotated

from assistant.plugin import Choices, Plugin, Range, Turn, say_decimal

plugin = Plugin(
    "calculator",
    about="calculate",
    rules={
        "what": "(what is|what's|how much is|calculate|compute|work out|[can you] tell me"
        "|do you know [what]|what do you get for|what's the answer to)",
        "makes": "(make|makes|equal|equals|give|is)",
    },
)

_OPERATIONS = {"plus": add, "minus": sub, "times": mul, "divided by": truediv}
_SYMBOLS = {"plus": ("plus", "added to"), "minus": ("minus", "less", "take away")}
_SYMBOLS |= {"times": ("times", "multiplied by"), "divided by": ("divided by", "over")}
_VERBS = {"plus": ("add", "the sum of"), "minus": ("the difference between",)}
_VERBS |= {"times": ("multiply", "the product of"), "divided by": ("divide",)}
_SHARES = {"twice": "2", "double": "2", "half of": "1/2", "a third of": "1/3", "a fifth of": "1/5"}
_SHARES |= {"two thirds of": "2/3", "a quarter of": "1/4", "three quarters of": "3/4"}
_ORDINALS = {3: "third", 6: "sixth", 7: "seventh", 9: "ninth", 11: "eleventh", 12: "twelfth"}
_MOST = 10**12

Operator = Annotated[str, Choices(_SYMBOLS)]
Verb = Annotated[str, Choices(_VERBS)]
Inverse = Annotated[str, Choices({"minus": ["subtract", "take"], "divided by": ["does"]})]
Part = Annotated[str, Choices({part: [part, part.replace("a ", "one ")] for part in _SHARES})]


@plugin.intent(
    "[<what>] {a} {operator} {b}",
    "(what does|how much does) {a} {operator} {b} <makes>",
    examples={
        "what is seven times eight": {"a": 7, "operator": "times", "b": 8},
        "how much is fifteen minus six": {"a": 15, "operator": "minus", "b": 6},
        "twelve divided by four": {"a": 12, "operator": "divided by", "b": 4},
        "what's 2.5 plus 1": {"a": 2.5, "operator": "plus", "b": 1},
        "what does nine times nine make": {},
    },
)
async def arithmetic(turn: Turn, a: float, operator: Operator, b: float) -> str:
    """Say the result of one operation."""
    return _result(a, operator, b)


@plugin.intent(
    "[<what>] {verb} {a} (and|to|by|with|plus|times) {b}",
    "<what> {a} and {b}",
    examples={
        "add three and four": {"verb": "plus", "a": 3, "b": 4},
        "multiply nine by six": {"verb": "times", "a": 9, "b": 6},
        "divide ten by four": {"verb": "divided by", "a": 10, "b": 4},
    },
)
async def combine(turn: Turn, a: float, b: float, verb: Verb = "plus") -> str:
    """Say the result of one operation that is named first."""
    return _result(a, verb, b)


@plugin.intent(
    "[<what>|how many times|how often] {verb} {b} ([away] from|go into) {a}",
    examples={
        "subtract five from twelve": {"verb": "minus", "a": 12, "b": 5},
        "how many times does six go into 42": {"verb": "divided by", "a": 42, "b": 6},
    },
)
async def combine_backwards(turn: Turn, b: float, a: float, verb: Inverse) -> str:
    """Say the result of one operation whose operands come in the other order."""
    return _result(a, verb, b)


@plugin.intent(
    "[<what>|how many is] {rate} percent of {a}",
    examples={"ten percent of two hundred": {"rate": 10, "a": 200}, "what is 15% of 80": {}},
)
async def percent(turn: Turn, rate: float, a: float) -> str:
    """Say a percentage of a number."""
    share = Fraction(str(rate)) * Fraction(str(a)) / 100
    return _sentence(f"{_say(rate)} percent of {_say(a)} is {_say(share)}")


@plugin.intent(
    "[<what>] {part} {a}",
    examples={
        "half of thirty": {"part": "half of", "a": 30},
        "what is twice fifteen": {"part": "twice", "a": 15},
    },
)
async def part_of(turn: Turn, part: Part, a: float) -> str:
    """Say a fraction or the double of a number."""
    return _sentence(f"{part} {_say(a)} is {_say(Fraction(_SHARES[part]) * Fraction(str(a)))}")


@plugin.intent(
    "[<what>] {a} [raised] to the power of {exponent}",
    "[<what>] ({a} squared|the square of {a})",
    examples={"what is two to the power of ten": {"a": 2, "exponent": 10}, "nine squared": {}},
)
async def power(turn: Turn, a: float, exponent: Annotated[int, Range(0, 12)] = 2) -> str:
    """Say a power."""
    raised = "squared" if exponent == 2 else f"to the power of {_say(exponent)}"  # noqa: PLR2004
    return _sentence(f"{_say(a)} {raised} is {_say(Fraction(str(a)) ** exponent)}")


@plugin.intent(
    "[<what>] [the] square root of {a}",
    examples={"the square root of eighty one": {"a": 81}, "what's the square root of two": {}},
)
async def root(turn: Turn, a: float) -> str:
    """Say a square root."""
    if a < 0:
        return "A negative number has no real square root."
    value = Fraction(str(a))
    exact = Fraction(isqrt(value.numerator), isqrt(value.denominator))
    found = exact if exact**2 == value else a**0.5
    return f"The square root of {_say(a)} is {_say(found)}."


def _result(a: float, operator: str, b: float) -> str:
    if operator == "divided by" and not b:
        return "Nothing can be divided by zero, I'm afraid."
    value = _OPERATIONS[operator](Fraction(str(a)), Fraction(str(b)))
    return _sentence(f"{_say(a)} {operator} {_say(b)} is {_say(value)}")


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."  # `capitalize` would say "i" for "I"


def _say(number: Fraction | float) -> str:
    """Speak a number: exactly as a decimal or a common fraction, else rounded."""
    if abs(exact := Fraction(str(number))) >= _MOST:
        return "more than I can count"
    # three significant digits at least: what is small is not zero
    places = max(3, 2 - floor(log10(abs(exact)))) if abs(exact) * _MOST >= 1 else 3
    if (exact * 10**places).denominator == 1:
        return say_decimal(exact, places)
    if exact.denominator not in _ORDINALS:
        return f"about {say_decimal(exact, places)}"
    whole, top = divmod(abs(exact).numerator, exact.denominator)
    part = f"{say_decimal(top)} {_ORDINALS[exact.denominator]}{'s' * (top > 1)}"
    sign = "minus " * (exact < 0)
    return f"{sign}{say_decimal(whole)} and {part}" if whole else f"{sign}{part}"
