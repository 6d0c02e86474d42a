"""Reminders at a time of day or after a while; they survive a restart."""

from datetime import time, timedelta
from typing import Annotated, Literal

from assistant.plugin import (
    Appointment,
    Appointments,
    Context,
    Day,
    Plugin,
    Samples,
    Turn,
    Which,
    next_moment,
    say_number,
    say_time,
)

_PERSONS = {"my": "your", "me": "you", "i": "you", "am": "are", "myself": "yourself"}
_FROM_HOUR = 7
"""Nobody means an earlier hour without saying so."""

Task = Annotated[
    str,
    Samples(
        *("call mum", "check the oven", "water the plants", "take out the trash", "buy milk"),
        *("take my medicine", "feed the cat", "call the dentist", "do the laundry", "stretch"),
    ),
]
Of = Literal["that", "about", "for"]

plugin = Plugin(
    "reminders",
    about="remind you",
    rules={
        "set": "(set|create|make|add|give me|i need|i want)",
        "at": "(at|for|by|around) {at}",
        "day": "[on|for|next] {day}",
        "when": "(<at> [<day>]|<day> [<at>]|in {length})",
        "cancel": "(cancel|delete|remove|stop|clear|forget)",
        "reminder": "(reminder|reminders)",
    },
)


@plugin.intent(
    "remind me <when> (to|{of}) {task}",
    "remind me (to|{of}) {task} <when>",
    "remind me (to|{of}) {task}",
    "<set> [a|an] reminder <when> (to|{of}) {task}",
    "<set> [a|an] reminder (to|{of}) {task} <when>",
    examples={
        "remind me to call mum at five": {"task": "call mum", "at": time(5)},
        "remind me in ten minutes to check the oven": {"length": timedelta(minutes=10)},
        "remind me to water the plants tomorrow": {"task": "water the plants", "day": "tomorrow"},
        "remind me tomorrow at ten to buy milk": {"task": "buy milk", "at": time(10)},
    },
    min_confidence=0.9,
)
async def remind(
    turn: Turn,
    task: Task,
    at: time | None = None,
    day: Day = "",
    length: timedelta | None = None,
    *,
    of: Of | None = None,
) -> str:
    """Remind of something, during the day unless the night is meant."""
    if length is not None:
        due = turn.now() + length
    elif at is not None or day:
        heard = turn.transcript
        due = next_moment(turn.now(), at, heard=heard, besides=task, day=day, from_hour=_FROM_HOUR)
    else:
        return f"When? Say for instance: remind me {of or 'to'} {task} at five."
    task, due = _to_you(task), due.astimezone()
    reminders.make(turn, f"{due.isoformat()} {task}", due, task=task, is_deed=of is None)
    return f"{_title(reminders.waiting(turn)[-1])}."


@plugin.intent(
    "<cancel> [my|the|all|all my|all the|every] [{which}] <reminder> [(to|that|about|for) {task}]",
    examples={
        "delete all reminders": {},
        "cancel the reminder to call mum": {"task": "call mum"},
        "cancel my next reminder": {"which": "first"},
    },
    min_confidence=0.9,
)
async def cancel(turn: Turn, task: Task = "", which: Which | None = None) -> str:
    """Cancel the reminders of something, the next or last one, or all of them."""
    gone = reminders.cancel(turn, _about(turn, _to_you(task)), which)
    if len(gone) > 1:
        count = say_number(len(gone)) if reminders.waiting(turn) else "all"
        return f"{count.capitalize()} reminders cancelled."
    return f"{_title(gone[0])}, cancelled." if gone else "There is no such reminder."


@plugin.intent(
    "(what|which) <reminder> (are (set|there)|do i have|have i set)",
    "(do i have|are there|is there) [a|any] <reminder> [set]",
    "(what are|what's|what is|show me|tell me|read [me]) my <reminder>",
    "what (did i ask you|do you have) to remind me (of|about)",
    examples=["what reminders do i have", "do i have any reminders", "read my reminders"],
    min_confidence=0.9,
)
async def waiting(turn: Turn) -> str:
    """Say what there is to be reminded of."""
    found = sorted(reminders.waiting(turn), key=lambda each: each.at)
    return " ".join(f"{_title(each)}." for each in found) or "There is no reminder."


async def _come(home: Context, each: Appointment) -> str:
    await home.event("reminder", task=each.details["task"], at=each.at.isoformat())
    return f"Reminder: {each.details['task']}."


reminders = Appointments(plugin, _come)


def _about(turn: Turn, task: str) -> list[Appointment]:
    """The reminders of just this, else those with all of its words."""
    known = reminders.waiting(turn)
    same = [each for each in known if each.details["task"] == task]
    words = set(task.split())
    return same or [each for each in known if words.issubset(each.details["task"].split())]


def _to_you(task: str) -> str:
    return " ".join(_PERSONS.get(word, word) for word in task.split())


def _title(each: Appointment) -> str:
    lead = "Reminder to" if each.details.get("is_deed", True) else "Reminder:"
    return f"{lead} {each.details['task']}, {each.at:%A} at {say_time(each.at.time())}"
