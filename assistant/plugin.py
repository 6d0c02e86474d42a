"""The public API of plugin authors; nothing else of the assistant is needed to write a plugin.

```python
lights = Plugin("lights")

@lights.intent("(turn|switch) {state} the light[s]", examples=["turn on the lights"])
async def switch(turn: Turn, state: Literal["on", "off"]) -> str:
    await turn.mqtt.publish("home/light/set", state.upper())
    return f"The lights are {state}."
```
"""

import inspect
import re
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

from typing_extensions import TypeVar as DefaultTypeVar

from assistant.appointments import Appointment, Appointments, Day, next_moment
from assistant.slots import Choices, Converter, Range, Samples
from assistant.spoken import say_decimal, say_duration, say_number, say_time
from assistant.store import Store

__all__ = [
    "API_VERSION",
    "Appointment",
    "Appointments",
    "Ask",
    "Choices",
    "Context",
    "Converter",
    "Day",
    "Handler",
    "Mqtt",
    "Plugin",
    "Range",
    "Reply",
    "Samples",
    "Schedule",
    "Store",
    "Turn",
    "next_moment",
    "say_decimal",
    "say_duration",
    "say_number",
    "say_time",
]

API_VERSION = 1
"""Raised when a plugin written for the version before could stop working."""

ConfigT = DefaultTypeVar("ConfigT", default=Any)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a turn."""

    text: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A question back; the assistant listens for the answer without a wake word."""

    text: str
    expects: Sequence[str] = ()
    """Answers that are likely, in words or templates."""
    timeout: float = 8.0
    """Seconds after the question during which an answer belongs to it."""


Answer = Reply | Ask | str | None
"""What a handler may return; None declines, and the next handler is tried."""


class Mqtt(Protocol):
    """The broker, as a plugin sees it."""

    async def publish(
        self, topic: str, payload: str | bytes | Mapping[str, Any], *, retain: bool = False
    ) -> None:
        """Send one message; a mapping is sent as JSON.

        Raises `ValueError` for a topic with a wildcard or a payload larger than 64 KiB.
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
    last_reply: str = ""
    """What was said last at this site before this turn; empty when nothing was."""
    abilities: Sequence[str] = ()
    """What the loaded plugins are for, each in its own words: "set timers"."""


_Handle = TypeVar("_Handle", bound=Callable[..., Awaitable[Answer]])
_Hook = TypeVar("_Hook", bound=Callable[[Any], Awaitable[None]])
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


@dataclass(frozen=True, slots=True)
class Handler:
    """One registered intent handler."""

    name: str
    run: Callable[..., Awaitable[Answer]]
    templates: tuple[str, ...]
    examples: Mapping[str, Mapping[str, Any]]
    """From a sentence to the slots it must give; an unnamed slot is not checked."""
    min_confidence: float
    timeout_s: float | None
    priority: int
    source: str
    """`file:line` of the handler."""


class Plugin:
    """A named group of intent handlers: one module-level instance in each plugin file.

    `about` completes "I can …": "set timers". `config` is a dataclass or pydantic model; the
    table `plugins.config.<name>` of the settings is validated against it. `rules` are parts of
    templates that are written once: with `rules={"light": "(light|lamp)[s]"}` a template may say
    `<light>`.
    """

    def __init__(
        self,
        name: str,
        *,
        about: str = "",
        config: type[Any] | None = None,
        rules: Mapping[str, str] | None = None,
        api: int = API_VERSION,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"plugin name {name!r}: use small letters, digits and underscores")
        self.name = name
        self.about = about
        self.config_type = config
        self.rules = dict(rules or {})
        self.api = api
        caller = sys._getframe(1)  # noqa: SLF001 - the file that makes the plugin is named in reports
        self.source = f"{caller.f_code.co_filename}:{caller.f_lineno}"
        self.handlers: list[Handler] = []
        self.start_hooks: list[Callable[[Any], Awaitable[None]]] = []
        self.stop_hooks: list[Callable[[Any], Awaitable[None]]] = []

    def intent(
        self,
        *templates: str,
        examples: Mapping[str, Mapping[str, Any]] | Sequence[str] = (),
        min_confidence: float = 0.8,
        timeout: float | None = None,
        priority: int = 0,
    ) -> Callable[[_Handle], _Handle]:
        """Register an async handler for sentences like `templates`.

        Every parameter after the turn is a slot, typed by its annotation; one with a default may
        be left unsaid. `examples` are sentences, or a mapping from sentences to the slots they
        must give; they are run as tests. `min_confidence` (0 to 1) bounds how far a mis-heard
        sentence may be from the templates, `timeout` is in seconds, and of two handlers that
        match equally well the one with the higher `priority` is asked first.
        """
        table = examples if isinstance(examples, Mapping) else {said: {} for said in examples}

        def register(run: _Handle) -> _Handle:
            code = inspect.unwrap(run).__code__
            self.handlers.append(
                Handler(
                    name=run.__name__,
                    run=run,
                    templates=templates,
                    examples=table,
                    min_confidence=min_confidence,
                    timeout_s=timeout,
                    priority=priority,
                    source=f"{code.co_filename}:{code.co_firstlineno}",
                )
            )
            return run

        return register

    def on_start(self, hook: _Hook) -> _Hook:
        """Call `hook` with a `Context` once the assistant is up."""
        self.start_hooks.append(hook)
        return hook

    def on_stop(self, hook: _Hook) -> _Hook:
        """Call `hook` with a `Context` before the assistant goes down."""
        self.stop_hooks.append(hook)
        return hook
