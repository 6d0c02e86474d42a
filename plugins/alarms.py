"""Alarms at a time of day or after a while; they survive a restart."""

import re
from datetime import datetime, time, timedelta

from assistant.plugin import (
    Appointment,
    Appointments,
    Context,
    Day,
    Plugin,
    Turn,
    Which,
    next_moment,
    say_number,
    say_time,
)

_HALF_DAY_H = 12
_HALF = re.compile(
    r"\b([ap]\.?\s?m|morning|afternoon|evening|(to|mid)?night|noon|midday)\b", re.IGNORECASE
)

plugin = Plugin(
    "alarms",
    about="wake you",
    rules={
        "set": "(set|create|make|add|put|start|give me|i need|i want)",
        "at": "(at|for|by|around|to) {at}",
        "day": "[on|for|next] {day}",
        "when": "(<at> [<day>]|<day> <at>)",
        "alarm": "(alarm|alarms|alarm clock)",
        "cancel": "(cancel|delete|remove|stop|clear|turn off|switch off|forget)",
        "all": "[my|the|all|all my|all the|all of my|every]",
    },
)


@plugin.intent(
    "<set> [a|an|the|my|another] <alarm> (<when>|(in|for) {length} [from now])",
    "alarm (<when>|in {length})",
    examples={
        "set an alarm for seven in the morning": {"at": time(7)},
        "set an alarm for half past six tomorrow": {"at": time(6, 30), "day": "tomorrow"},
        "set an alarm in twenty minutes": {"length": timedelta(minutes=20)},
    },
    min_confidence=0.9,
)
async def alarm(
    turn: Turn, at: time | None = None, day: Day = "", length: timedelta | None = None
) -> str:
    """Set an alarm for the next such time."""
    if at is None:
        return _make(turn, turn.now() + (length or timedelta()))
    return _make(turn, next_moment(turn.now(), at, heard=turn.transcript, day=day))


@plugin.intent(
    "(wake|get) me [up] <when>",
    "i (have|need|want) to (get up|wake up|be up) <when>",
    examples={
        "wake me at six thirty": {"at": time(6, 30)},
        "wake me up tomorrow at seven": {"at": time(7), "day": "tomorrow"},
    },
    min_confidence=0.9,
)
async def wake(turn: Turn, at: time, day: Day = "") -> str:
    """Set an alarm; people are woken in the morning unless they say otherwise."""
    heard = f"{turn.transcript} morning"
    return _make(turn, next_moment(turn.now(), at, heard=heard, day=day))


@plugin.intent(
    "<cancel> <all> [{which}] <alarm> [(for|at) {at}]",
    "<cancel> <all> {at} <alarm>",
    examples={
        "cancel my alarm": {},
        "cancel the seven o'clock alarm": {"at": time(7)},
        "cancel my next alarm": {"which": "first"},
    },
    min_confidence=0.9,
)
async def cancel(turn: Turn, at: time | None = None, which: Which | None = None) -> str:
    """Cancel the alarms of this time, the next or last one, or all of them."""
    exact = _HALF.search(turn.transcript) is not None
    found = [each for each in alarms.waiting(turn) if at is None or _is_at(each, at, exact=exact)]
    gone = alarms.cancel(turn, found, which)
    if len(gone) > 1:
        count = say_number(len(gone)) if alarms.waiting(turn) else "all"
        return f"{count.capitalize()} alarms cancelled."
    return f"{_title(gone[0])} cancelled." if gone else "There is no such alarm."


@plugin.intent(
    "(what|which) <alarm> (are (set|there|running)|do i have|have i set)",
    "(when|what time) (is|does|will) my [next] <alarm> [set for|go off|ring]",
    "(do i have|are there|is there) [a|an|any] <alarm> [set]",
    "(show|tell|read) me my <alarm>",
    examples=["what alarms are set", "do i have any alarms", "when is my next alarm"],
    min_confidence=0.9,
)
async def waiting(turn: Turn) -> str:
    """Say which alarms are set."""
    found = sorted(alarms.waiting(turn), key=lambda each: each.at)
    return " ".join(f"{_title(each)}." for each in found) or "No alarm is set."


async def _ring(home: Context, each: Appointment) -> str:
    await home.event("alarm_rang", at=each.at.isoformat())
    return f"It's {say_time(home.now().time())}: your alarm!"


alarms = Appointments(plugin, _ring)


def _make(turn: Turn, at: datetime) -> str:
    at = at.astimezone()
    alarms.make(turn, at.isoformat(), at)
    return f"{_title(alarms.waiting(turn)[-1])}."


def _is_at(each: Appointment, at: time, *, exact: bool) -> bool:
    """Whether "the seven o'clock alarm" is this one: in either half of the day unless `exact`."""
    if exact or not 0 < at.hour <= _HALF_DAY_H:
        return (each.at.hour, each.at.minute) == (at.hour, at.minute)
    return (each.at.hour - at.hour) % _HALF_DAY_H == 0 and each.at.minute == at.minute


def _title(each: Appointment) -> str:
    return f"Alarm for {each.at:%A} at {say_time(each.at.time())}"
