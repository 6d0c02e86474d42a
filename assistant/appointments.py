"""What a plugin wants to do at a moment of its own, even when a restart lies before it."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from assistant.slots import Choices

if TYPE_CHECKING:
    from assistant.plugin import Context, Plugin

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_PARTS = ("", " morning", " afternoon", " evening", " night")
_DAYS = {day: [f"{day}{part}" for part in _PARTS] for day in ("tomorrow", *WEEKDAYS)}
_DAYS["today"] = ["today", "tonight", "this morning", "this afternoon", "this evening"]

Day = Annotated[str, Choices(_DAYS)]
"""A slot: "today", "tomorrow" or a weekday, with or without "morning" or "evening"."""

_LATE = re.compile(r"\b(afternoon|evening|tonight|p\.?\s?m)\b", re.IGNORECASE)
_EARLY = re.compile(r"\b(morning|a\.?\s?m|night|noon|midday|midnight)\b", re.IGNORECASE)
_NOON = 12


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
        home.store[name] = {"at": at.isoformat(), "site": home.site, "details": details}

    def drop(self, home: "Context[Any]", name: str) -> bool:
        """Forget the appointment of this name; says whether there was one."""
        home.schedule.cancel(name)
        return home.store.pop(name, None) is not None

    def waiting(self, home: "Context[Any]") -> list[Appointment]:
        """Every appointment, in the order in which they were made."""
        return [
            Appointment(name, datetime.fromisoformat(kept["at"]), kept["site"], kept["details"])
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


def next_moment(
    now: datetime, at: time, *, heard: str = "", day: str = "", from_hour: int = 0
) -> datetime:
    """The next moment that people mean by `at`: at noon, "at five" is in the afternoon.

    `heard` is the sentence; "morning" or "evening" in it settles the half of the day. `day` is
    "today", "tomorrow", a weekday or empty; `from_hour` is the earliest hour that is meant where
    nothing is said about the half of the day.
    """
    hours = [at.hour]
    if at.hour <= _NOON and _LATE.search(heard) and at.hour:
        hours = [at.hour % _NOON + _NOON]
    elif 0 < at.hour <= _NOON and not _EARLY.search(heard):
        hours = [hour for hour in (at.hour, (at.hour + _NOON) % 24) if hour >= from_hour]
    ahead, again = (1, 1) if day == "tomorrow" else (0, 1)
    if day in WEEKDAYS:
        ahead, again = (WEEKDAYS.index(day) - now.weekday()) % 7, 7
    moments = (
        datetime.combine(now.date() + timedelta(days), at.replace(hour=hour)).astimezone()
        for days in (ahead, ahead + again)
        for hour in hours
    )
    return min(moment for moment in moments if moment > now)
