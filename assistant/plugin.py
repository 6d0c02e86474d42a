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
from dataclasses import dataclass
from typing import Any, TypeVar

from assistant.answers import Answer, Ask, Reply
from assistant.appointments import Appointment, Appointments, Day, Which, next_moment
from assistant.slots import Choices, Converter, Range, Samples
from assistant.spoken import say_decimal, say_duration, say_number, say_time
from assistant.store import Store
from assistant.tools import Context, Earlier, Mqtt, Schedule, Turn
from assistant.turn import Speaker
from assistant.web import Http, Response

__all__ = [
    "API_VERSION",
    "Answer",
    "Appointment",
    "Appointments",
    "Ask",
    "Choices",
    "Context",
    "Converter",
    "Day",
    "Earlier",
    "Handler",
    "Http",
    "Mqtt",
    "Plugin",
    "Range",
    "Reply",
    "Response",
    "Samples",
    "Schedule",
    "Speaker",
    "Store",
    "Turn",
    "Which",
    "next_moment",
    "say_decimal",
    "say_duration",
    "say_number",
    "say_time",
]

API_VERSION = 1
"""Raised when a plugin written for the version before could stop working."""

_Handle = TypeVar("_Handle", bound=Callable[..., Awaitable[Answer]])
_Hook = TypeVar("_Hook", bound=Callable[[Any], Awaitable[None]])
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
Topics = Sequence[str] | Callable[[Any], Sequence[str]]


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
    fallback: "str | Callable[..., Awaitable[Answer]] | None"
    source: str
    """`file:line` of the handler."""
    listened_for: bool = True
    """False: only these very words are its own, and no sound is taken for them."""


class Plugin:
    """A named group of intent handlers: one module-level instance in each plugin file.

    `about` completes "I can …": "set timers". `config` is a dataclass or pydantic model; the
    table `plugins.config.<name>` of the settings is validated against it. `rules` are parts of
    templates that are written once: with `rules={"light": "(light|lamp)[s]"}` a template may say
    `<light>`. `topics` are the MQTT filters that the plugin publishes on, or a function from its
    configuration to them; without any it may publish on all but the assistant's own. The user's
    `plugins.topics.<name>` goes before them. A plugin with `reloadable=False` keeps running as it
    is when its file changes, until the assistant is started again.
    """

    def __init__(
        self,
        name: str,
        *,
        about: str = "",
        config: type[Any] | None = None,
        rules: Mapping[str, str] | None = None,
        topics: Topics | None = None,
        reloadable: bool = True,
        api: int = API_VERSION,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"plugin name {name!r}: use small letters, digits and underscores")
        self.name = name
        self.about = about
        self.config_type = config
        self.rules = dict(rules or {})
        self.topics = topics
        self.reloadable = reloadable
        self.api = api
        caller = sys._getframe(1)  # noqa: SLF001 - the file that makes the plugin is named in reports
        self.source = f"{caller.f_code.co_filename}:{caller.f_lineno}"
        self.handlers: list[Handler] = []
        self.start_hooks: list[Callable[[Any], Awaitable[None]]] = []
        self.stop_hooks: list[Callable[[Any], Awaitable[None]]] = []

    def intent(
        self,
        *templates: str | Sequence[str],
        examples: Mapping[str, Mapping[str, Any]] | Sequence[str] = (),
        min_confidence: float = 0.8,
        timeout: float | None = None,
        priority: int = 0,
        fallback: str | Callable[..., Awaitable[Answer]] | None = None,
        listened_for: bool = True,
    ) -> Callable[[_Handle], _Handle]:
        """Register an async handler for sentences like `templates`.

        Every parameter after the turn is a slot, typed by its annotation; one with a default may
        be left unsaid. `examples` are sentences, or a mapping from sentences to the slots they
        must give; they are run as tests. `min_confidence` (0 to 1) bounds how far a mis-heard
        sentence may be from the templates, `timeout` is in seconds, and of two handlers that
        match equally well the one with the higher `priority` is asked first. `fallback` is a text,
        or a function called with the same turn and slots, that answers when the handler raises,
        is too slow, or rests after failing again and again. Sentences that are not
        `listened_for` are understood when they are typed, or heard word by word: no sound and no
        near sentence is taken for them, which is right for what hardly anybody means.
        """
        listed = [examples] if isinstance(examples, str) else examples
        table = listed if isinstance(listed, Mapping) else {said: {} for said in listed}
        parts = [[each] if isinstance(each, str) else each for each in templates]
        flat = tuple(each for part in parts for each in part)

        def register(run: _Handle) -> _Handle:
            code = inspect.unwrap(run).__code__
            self.handlers.append(
                Handler(
                    name=run.__name__,
                    run=run,
                    templates=flat,
                    examples=table,
                    min_confidence=min_confidence,
                    timeout_s=timeout,
                    priority=priority,
                    fallback=fallback,
                    source=f"{code.co_filename}:{code.co_firstlineno}",
                    listened_for=listened_for,
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
