"""What a plugin has at hand: at any time a `Context`, and for one request a `Turn`."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Generic, Protocol

from typing_extensions import TypeVar as DefaultTypeVar

from assistant.answers import Reply
from assistant.store import Store
from assistant.turn import Speaker
from assistant.web import Http

ConfigT = DefaultTypeVar("ConfigT", default=Any)


class Mqtt(Protocol):
    """The broker, as a plugin sees it."""

    async def publish(
        self, topic: str, payload: str | bytes | Mapping[str, Any], *, retain: bool = False
    ) -> None:
        """Send one message; a mapping is sent as JSON.

        Raises `ValueError` for a topic with a wildcard or a payload larger than 64 KiB, and
        `PermissionError` for a topic that the plugin may not publish on.
        """
        ...


class Schedule(Protocol):
    """Work for later, which the assistant does even while it listens."""

    def __call__(
        self,
        delay: float | timedelta,
        callback: Callable[[], Awaitable[Reply | str | None]],
        name: str,
    ) -> None:
        """Call `callback` after `delay` (seconds); what it returns is said.

        A second one of the same `name` replaces the first. Schedules do not survive a restart:
        keep what is needed in the store and schedule again in `on_start`. Raises `ValueError`
        when more than a hundred are waiting.
        """
        ...

    def cancel(self, name: str) -> bool:
        """Forget the callback of this name; says whether there was one."""
        ...


@dataclass(frozen=True, slots=True)
class Earlier:
    """An exchange that went before."""

    transcript: str
    intent: str
    """`plugin.handler`."""
    slots: Mapping[str, Any]
    """Typed as the handler's signature says."""
    reply: str


@dataclass(frozen=True, kw_only=True)
class Context(Generic[ConfigT]):
    """What a plugin has at hand at any time; given to `on_start` and `on_stop`."""

    site: str
    """The room or machine."""
    config: ConfigT
    """The plugin's configuration, validated."""
    mqtt: Mqtt
    store: Store
    """A small dictionary of JSON values that survives restarts."""
    http: Http
    """`response = await turn.http.get("https://…")`, then `response.json()`."""
    schedule: Schedule
    say: Callable[[str], Awaitable[None]]
    """Speak at `site`, unasked: `await turn.say("Dinner is ready.")`."""
    event: Callable[..., Awaitable[None]]
    """Publish an event for smart-home hubs: `await turn.event("timer_rang", name="pasta")`."""
    at: "Callable[[str], Context[ConfigT]]"
    """The same tools for another site: `home.at("kitchen").say(...)`."""
    now: Callable[[], datetime]
    """The local wall-clock time; use it instead of `datetime.now`, so that tests can set it."""


@dataclass(frozen=True, kw_only=True)
class Turn(Context[ConfigT]):
    """One request, as a handler sees it.

    The assistant's own record of the same exchange is `assistant.turn.Turn`; this one adds what a
    handler can do about it. Annotate with `Turn[MyConfig]` to have `config` typed.
    """

    id: str
    transcript: str
    """The words that were heard."""
    confidence: float
    """How sure the match is, 0 to 1; 1.0 when the words fit a template exactly."""
    intent: str
    """`plugin.handler`."""
    slots: Mapping[str, Any] = field(default_factory=dict)
    answer: str = ""
    """When this turn answers the handler's `Ask`: the answer, as `expects` has it."""
    last_reply: str = ""
    """What was said last at this site before this turn; empty when nothing was."""
    earlier: Sequence[Earlier] = ()
    """What plugins answered at this site before, oldest first; at most eight."""
    abilities: Sequence[str] = ()
    """What the loaded plugins are for, each in its own words: "set timers"."""
    ask: Callable[[str], Awaitable[str]]
    """Ask the language model: `await turn.ask("Name three fruits.")`.

    Raises `ValueError` where the model cannot do that: one that answers only what it hears.
    """
    fill: Callable[[str], Awaitable[str]]
    """Let the model fill the gaps of a sentence from what it heard: `turn.fill("call ___")`.

    Gives the whole sentence; each run of underscores is a gap. Raises `ValueError` where there
    is nothing to fill, or no model or sound to fill it from.
    """
    measure: Callable[[], Speaker] = field(default=Speaker, repr=False, compare=False)
    """What `speaker` is read from."""

    @cached_property
    def speaker(self) -> Speaker:
        """How high, how loud and how quick the voice is, and over what noise; measured when read.

        Nothing is known of words that came as text.
        """
        return self.measure()
