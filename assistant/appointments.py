"""What a plugin wants to do at a moment of its own, even when a restart lies before it."""

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from assistant import spoken
from assistant.slots import Choices

if TYPE_CHECKING:
    from assistant.plugin import Context, Plugin

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_PARTS = ("", " morning", " afternoon", " evening", " night")
_DAYS = {day: [f"{day}{part}" for part in _PARTS] for day in ("tomorrow", *WEEKDAYS)}
_DAYS["today"] = ["today", "tonight", "this morning", "this afternoon", "this evening"]

Day = Annotated[str, Choices(_DAYS)]
"""A slot: "today", "tomorrow" or a weekday, with or without "morning" or "evening"."""

Which = Annotated[
    Literal["first", "last"], Choices({"first": ["first", "next"], "last": ["last", "latest"]})
]
"""A slot: of several appointments the next one, or the last."""

_NIGHT = re.compile(r"\b(night|tonight)\b")
_THAT_NIGHT = re.compile(r"(?<!at )\bnight\b")
_LATE = re.compile(r"\b(afternoon|evening|p ?m)\b")
_EARLY = re.compile(r"\b(morning|a ?m|noon|midday|midnight)\b")
_NOON = 12
_NIGHT_ENDS = 5
_USUAL = {"afternoon": time(15), "evening": time(21), "night": time(21), "tonight": time(21)}
"""What is meant where no time of day is said; else it is nine."""


@dataclass(frozen=True, slots=True)
class Appointment:
    """One moment that is waited for."""

    name: str
    """Unique among the plugin's appointments."""
    at: datetime
    """Local time, with its time zone."""
    site: str
    """Where it was made, and where it is said."""
    details: dict[str, Any] = field(default_factory=dict)
    """JSON values of the plugin's own."""


Come = Callable[["Context[Any]", Appointment], Awaitable[str | None]]


class Appointments:
    """Moments in a plugin's store: `Appointments(plugin, come)` waits for them and calls `come`.

    What `come` returns is said at the appointment's site. Those that came while the assistant was
    down come at its start. The plugin's store holds nothing else, name by name.
    """

    def __init__(self, plugin: "Plugin", come: Come) -> None:
        self._come = come
        plugin.on_start(self._restore)

    def make(self, home: "Context[Any]", name: str, at: datetime, **details: Any) -> None:
        """Wait for `at`; another appointment of the same name is forgotten.

        Raises `ValueError` when more than a hundred are waiting.
        """
        self._wait(home, Appointment(name, at, home.site, details))
        home.store.pop(name, None)  # else it would keep the place of the one before
        home.store[name] = {"at": at.isoformat(), "site": home.site, "details": details}

    def drop(self, home: "Context[Any]", name: str) -> bool:
        """Forget the appointment of this name; says whether there was one."""
        home.schedule.cancel(name)
        return home.store.pop(name, None) is not None

    def cancel(
        self, home: "Context[Any]", found: Iterable[Appointment], which: str | None = None
    ) -> list[Appointment]:
        """Drop those `found`, or of them the `first` or the `last` alone; gives those dropped."""
        ordered = sorted(found, key=lambda each: each.at)
        gone = {"first": ordered[:1], "last": ordered[-1:]}.get(which or "", ordered)
        for each in gone:
            self.drop(home, each.name)
        return gone

    def waiting(self, home: "Context[Any]") -> list[Appointment]:
        """Every appointment, in the order in which they were made."""
        return [
            Appointment(name, _local(kept["at"]), kept["site"], kept["details"])
            for name, kept in home.store.items()
        ]

    async def _restore(self, home: "Context[Any]") -> None:
        for each in self.waiting(home):
            self._wait(home.at(each.site), each)

    def _wait(self, home: "Context[Any]", each: Appointment) -> None:
        delay = max(timedelta(), each.at - home.now())
        home.schedule(delay, partial(self._arrive, home, each), each.name)

    async def _arrive(self, home: "Context[Any]", each: Appointment) -> str | None:
        home.store.pop(each.name, None)
        return await self._come(home, each)


def _local(kept: str) -> datetime:
    """Read a moment: the clocks may have changed between when it was made and when it comes."""
    return datetime.fromisoformat(kept).astimezone()


def next_moment(
    now: datetime,
    at: time | None,
    *,
    heard: str = "",
    besides: str = "",
    day: str = "",
    from_hour: int = 0,
) -> datetime:
    """The next moment that people mean by `at`: at noon, "at five" is in the afternoon.

    `heard` is the sentence; "morning" or "evening" in it settles the half of the day, except in
    `besides`, the words that are no part of the time. `day` is "today", "tomorrow", a weekday or
    empty; `from_hour` is the earliest hour that is meant where nothing is said about the half of
    the day. Without `at` it is the usual time of that part of the day, or soon where that is over.
    """
    heard = _without(spoken.key(heard), spoken.key(besides))
    clock = at or _usual(heard)
    ahead, again = (1, 1) if day == "tomorrow" else (0, 1)
    if day in WEEKDAYS:
        ahead, again = (WEEKDAYS.index(day) - now.weekday()) % 7, 7
    if day not in ("", "today") and _THAT_NIGHT.search(heard) and clock.hour % _NOON < _NIGHT_ENDS:
        ahead += 1  # one o'clock on Friday night is on Saturday
    moments = (
        datetime.combine(now.date() + timedelta(days), clock.replace(hour=hour)).astimezone()
        for days in (ahead, ahead + again)
        for hour in _hours(clock.hour, heard, from_hour)
    )
    found = min(moment for moment in moments if moment > now)
    if at is None and day == "today" and found.date() > now.date():
        return (now + timedelta(hours=1)).replace(minute=0, second=0, microsecond=0)
    return found


def _without(heard: str, besides: str) -> str:
    return f" {heard} ".replace(f" {besides} ", " ", 1) if besides else heard


def _usual(heard: str) -> time:
    """The time that is meant by a part of the day."""
    return next((_USUAL[word] for word in heard.split() if word in _USUAL), time(9))


def _hours(hour: int, heard: str, from_hour: int) -> list[int]:
    """Hours of 24 that may be meant by an hour of the clock face."""
    if not 0 < hour <= _NOON:
        return [hour]
    if _NIGHT.search(heard):
        return [hour % _NOON + (_NOON if hour % _NOON >= _NIGHT_ENDS else 0)]
    if _LATE.search(heard):
        return [hour % _NOON + _NOON]
    if _EARLY.search(heard):
        return [hour]
    return [each for each in (hour, (hour + _NOON) % 24) if each >= from_hour]
