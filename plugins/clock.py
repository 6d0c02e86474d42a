"""The time, the day of the week and the date."""

from datetime import date, timedelta
from typing import Literal, get_args

from assistant.plugin import Plugin, Turn, say_number, say_time

plugin = Plugin(
    "clock",
    about="tell the time and the date",
    rules={
        "tell": "([can you] tell me|do you know|i want to know|give me)",
        "now": "[right now|now|at the moment|currently]",
    },
)

_ORDINALS = {
    1: "first",
    2: "second",
    3: "third",
    5: "fifth",
    8: "eighth",
    9: "ninth",
    12: "twelfth",
    20: "twentieth",
    30: "thirtieth",
}

Day = Literal["today", "tomorrow", "yesterday"]
_OFFSETS = {"today": 0, "tomorrow": 1, "yesterday": -1}
_SURE = 0.9
"""A day that is not listened for must not be taken for today: "on friday" is near to it."""
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_WEEKDAYS = get_args(Weekday)


@plugin.intent(
    "what time is it <now>",
    "(what is|what's) the [current] time <now>",
    "<tell> [what] (the [current] time|time it is|what time it is|what the time is) <now>",
    "(how late|what hour) is it <now>",
    "(do you have|have you got) the time",
    "[the] current time",
    examples=[
        "what time is it",
        "what's the time",
        "tell me the time",
        "can you tell me what time it is please",
        "do you know what time it is",
        "what time is it now",
        "what's the current time",
    ],
)
async def time(turn: Turn) -> str:
    """Tell the time."""
    return f"It's {say_time(turn.now().time())}."


@plugin.intent(
    "(what|which) day is it [{day}]",
    "(what|which) day (is {day}|was {day}|will {day} be)",
    "(what|which) day of the week is it [{day}]",
    "(what is|what's) the day [of the week] {day}",
    "<tell> (what|which) day it is [{day}]",
    examples={
        "what day is it": {"day": "today"},
        "what day is it today": {"day": "today"},
        "which day of the week is it": {"day": "today"},
        "what day is tomorrow": {"day": "tomorrow"},
        "tell me what day it is": {"day": "today"},
    },
    min_confidence=_SURE,
)
async def weekday(turn: Turn, day: Day = "today") -> str:
    """Name a day of the week."""
    moment = _on(turn, day)
    return f"{_begin(day)} {moment:%A}."


@plugin.intent(
    "(what is|what's|what was) the date [{day}]",
    "(what is|what's) today's date",
    "(what|which) date is (it [{day}]|{day})",
    "<tell> (the date|today's date|what date it is|what the date is) [{day}]",
    "(what is|what's) the [current] date <now>",
    "(what|which) day of the month is it [{day}]",
    examples={
        "what's the date": {"day": "today"},
        "what's the date today": {"day": "today"},
        "what is today's date": {"day": "today"},
        "what is the date tomorrow": {"day": "tomorrow"},
        "tell me the date": {},
        "which date is it": {},
    },
    min_confidence=_SURE,
)
async def date_of(turn: Turn, day: Day = "today") -> str:
    """Tell a date."""
    moment = _on(turn, day)
    return f"{_begin(day)} {moment:%A}, {moment:%B} {_ordinal(moment.day)}."


@plugin.intent(
    "(what is|what's|<tell>) the date (on|next|this|on next|this coming) {weekday}",
    "(what|which) date is [it] (on|next|this|on next|this coming) {weekday}",
    examples={
        "what's the date on friday": {"weekday": "friday"},
        "what date is next monday": {"weekday": "monday"},
    },
    min_confidence=_SURE,
)
async def date_on(turn: Turn, weekday: Weekday) -> str:
    """Tell the date of the next day of this name, which is never today."""
    today = turn.now().date()
    days = (_WEEKDAYS.index(weekday) - today.weekday() - 1) % len(_WEEKDAYS) + 1
    moment = today + timedelta(days=days)
    return f"{moment:%A} is {moment:%B} {_ordinal(moment.day)}."


@plugin.intent(
    "(what|which) (year|month) is it <now>",
    "(what is|what's) the [current] (year|month)",
    "<tell> (what|which) (year|month) it is",
    examples=["what year is it", "what month is it", "what's the current year"],
)
async def year(turn: Turn) -> str:
    """Tell month and year."""
    moment = turn.now()
    century, rest = divmod(moment.year, 100)
    return f"It's {moment:%B} {say_number(century)} {say_number(rest)}."


def _on(turn: Turn, day: str) -> date:
    return turn.now().date() + timedelta(days=_OFFSETS[day])


def _begin(day: str) -> str:
    return {"today": "It's", "tomorrow": "Tomorrow is", "yesterday": "Yesterday was"}[day]


def _ordinal(number: int) -> str:
    """Say the day of a month: 21 is "twenty first"."""
    if number in _ORDINALS:
        return _ORDINALS[number]
    tens, ones = divmod(number, 10)
    if tens <= 1:
        return f"{say_number(number)}th"
    return f"{say_number(10 * tens)} {_ordinal(ones)}"
