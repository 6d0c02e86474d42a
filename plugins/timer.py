"""Timers: several, named, and still there after a restart."""

from datetime import timedelta
from typing import Annotated

from assistant.plugin import Appointment, Appointments, Context, Plugin, Samples, Turn, say_duration

plugin = Plugin(
    "timer",
    about="set timers",
    rules={
        "rings": "(goes off|rings|ends|is done|is up)",
        "set": "(set|start|create|make|begin|put on|give me|i need|i want|run)",
        "called": "(called|named|for [the|my])",
        "cancel": "(cancel|stop|delete|remove|end|clear|kill|turn off|switch off)",
    },
)

Name = Annotated[
    str,
    Samples(
        *("pasta", "egg", "tea", "pizza", "laundry", "oven", "rice", "bread", "workout", "coffee"),
        *("chicken", "cake", "nap", "potatoes", "cookies", "homework", "break", "soup"),
    ),
]
_NO_NAMES = ("a", "an", "the")
"""What stands before "timer" when it has no name, which a mis-heard sentence may give as one."""


@plugin.intent(
    "<set> [a|an|the] timer (for|of|to) {length}",
    "<set> [a|an] {length} timer",
    "[a|an] {length} timer",
    "timer [for] {length}",
    "(count down|countdown|wake me [up] in|remind me in|alert me in|time) {length}",
    "(remind|alert|tell|wake) me (after|when) {length} [is up|are up|have passed]",
    "<set> [a|an] {name} timer (for|of) {length}",
    "<set> [a|an] {length} {name} timer",
    "<set> [a|an] {length} timer <called> {name}",
    "<set> [a|an] timer (for|of) {length} <called> {name}",
    "<set> [a|an] timer (called|named) {name} (for|of) {length}",
    examples={
        "set a timer for five minutes": {"length": timedelta(minutes=5)},
        "start a two minute timer": {"length": timedelta(minutes=2)},
        "set a pasta timer for ten minutes": {"length": timedelta(minutes=10), "name": "pasta"},
        "set a timer for an hour and a half": {"length": timedelta(minutes=90)},
        "timer for 90 seconds": {"length": timedelta(seconds=90)},
        "set a timer for ten minutes for the eggs": {"name": "eggs"},
        "set a timer for 1.5 hours": {"length": timedelta(minutes=90)},
        "set a timer for 10 mins": {"length": timedelta(minutes=10)},
    },
)
async def start(turn: Turn, length: timedelta, name: Name = "") -> str:
    """Start a timer, or start the one of this name again."""
    name = "" if name in _NO_NAMES else name
    if not timedelta() < length <= timedelta(days=7):
        return "I can time anything up to a week."
    timers.make(turn, name, turn.now() + length)
    return f"{_title(name)} set for {say_duration(length)}."


@plugin.intent(
    "<cancel> [the|my|all|all the|all my] (timer|timers)",
    "<cancel> [the|my] {name} timer",
    "(forget|never mind) [about] [the|my] [{name}] timer",
    examples={
        "cancel the timer": {},
        "stop the pasta timer": {"name": "pasta"},
        "cancel all timers": {},
        "delete my timer": {},
    },
)
async def cancel(turn: Turn, name: Name = "") -> str:
    """Cancel the timer of this name, or all of them."""
    names = [name] if name else list(turn.store)
    gone = [each for each in names if timers.drop(turn, each)]
    if not gone:
        return f"There is no {name} timer.".replace("  ", " ")
    return f"{_title(gone[0])} cancelled." if len(gone) == 1 else "All timers cancelled."


@plugin.intent(
    "how (long|much time|many minutes) [is|are] (left|remaining)",
    "how (long|much time) [is] (left|remaining) (on|for) [the|my] [{name}] timer",
    "how (long|much longer|much time) (until|till|before) [the|my] [{name}] timer <rings>",
    "(how is|how's|check|what's|what is|show me) [the|my] [{name}] timer",
    "how much time (is left on [the|my] [{name}] timer|does [the|my] [{name}] timer have [left])",
    "when (does|will) [the|my] [{name}] timer (ring|go off|end|finish)",
    "(what|which) timers (are (set|running|active)|do i have)",
    "how many timers (are (set|running|active|there)|do i have)",
    examples={
        "how long is left": {},
        "how much time is left on the timer": {},
        "how much time is left on the pasta timer": {"name": "pasta"},
        "when does my timer ring": {},
        "what timers are running": {},
    },
    min_confidence=0.92,
)
async def left(turn: Turn, name: Name = "") -> str:
    """Say how long a timer still runs, or all of them."""
    running = [each for each in timers.waiting(turn) if name in ("", each.name)]
    if not running:
        return "There is no such timer." if name else "No timer is running."
    remaining = {each.name: say_duration(each.at - turn.now()) for each in running}
    return " ".join(f"{_title(each)}: {time}." for each, time in remaining.items())


async def _ring(home: Context, each: Appointment) -> str:
    """End the timer: an event for the hub, and words for the people."""
    await home.event("timer_rang", name=each.name)
    return f"Your {each.name} timer is done!".replace("  ", " ")


timers = Appointments(plugin, _ring)


def _title(name: str) -> str:
    return f"{name} timer".strip().capitalize()
