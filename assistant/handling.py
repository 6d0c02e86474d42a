"""Handlers at work: each in a task of its own, with a time-out, so that one costs only its turn."""

import asyncio
import json
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog

from assistant import plugin as author
from assistant.loading import LoadedPlugin, location
from assistant.outside import Outside
from assistant.store import Store

MAX_SCHEDULED = 100
"""Callbacks of one plugin waiting at the same time."""
MAX_PAYLOAD_BYTES = 65_536
BLOCKED_AFTER_S = 1.0
"""A handler that holds the event loop longer than this is named in the log."""

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")
_Callback = Callable[[], Awaitable[author.Reply | str | None]]


class HandlerFailedError(Exception):
    """A plugin's code raised, took too long or returned something else than an answer."""


class PluginRuntime:
    """One plugin while the assistant runs: its store, its schedule and its errors."""

    def __init__(
        self, loaded: LoadedPlugin, outside: Outside, state_folder: Path, timeout_s: float
    ) -> None:
        self._outside = outside
        self._timeout_s = timeout_s
        self._scheduled: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.loaded = loaded
        self.name = loaded.plugin.name
        self._file = loaded.plugin.source.rpartition(":")[0]
        self._store = Store(state_folder / "plugins" / f"{self.name}.json")

    async def start(self) -> None:
        """Run the plugin's `on_start` hooks; one that fails is published as an error event."""
        await self._run_hooks(self.loaded.plugin.start_hooks, "on_start")

    async def stop(self) -> None:
        """Run the plugin's `on_stop` hooks and forget what is scheduled."""
        await self._run_hooks(self.loaded.plugin.stop_hooks, "on_stop")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def run(self, work: Coroutine[Any, Any, _T], what: str, timeout_s: float | None) -> _T:
        """Await the plugin's `work` with a time-out (the settings' where None).

        Raises `HandlerFailedError`, whose message names file and line. A handler that swallows
        its cancellation is left behind and logged; one that never awaits cannot be stopped by
        anything, and is named in the log while it blocks.
        """
        limit_s = timeout_s or self._timeout_s
        task = asyncio.create_task(work, name=f"plugin {what}")
        try:
            with _blocking_is_logged(what):
                await asyncio.wait({task}, timeout=limit_s)
            if not task.done():
                at = _waits_at(task, self._file)
                raise HandlerFailedError(f"{what} took longer than {limit_s:g} s at {at}")
        finally:
            task.cancel()
        try:
            return task.result()
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            where = location(error, self._file)
            named = f"{what}: {type(error).__name__}: {error} at {where}"
            raise HandlerFailedError(named) from error

    def tools(self, site: str) -> dict[str, Any]:
        """Give the fields of `author.Context` for `site`."""
        return {
            "site": site,
            "config": self.loaded.config,
            "mqtt": _Mqtt(self._outside),
            "store": self._store,
            "schedule": _Schedule(self, site),
            "say": partial(self._say, site),
            "event": self._event,
            "at": self.context,
            "now": self._outside.now,
        }

    def context(self, site: str) -> author.Context[Any]:
        """Give the plugin its tools for `site`."""
        return author.Context(**self.tools(site))

    async def report(self, reason: str) -> None:
        """Publish and log that the plugin failed outside a turn."""
        _log.error("plugin failed", plugin=self.name, reason=reason)
        await self._outside.event("error", {"reason": reason}, plugin=self.name)

    def schedule(self, site: str, delay_s: float, callback: _Callback, name: str) -> None:
        """Start the task behind `author.Schedule`."""
        self.cancel(name)
        if len(self._scheduled) >= MAX_SCHEDULED:
            raise ValueError(f"{self.name} has {MAX_SCHEDULED} callbacks waiting already")
        task = asyncio.create_task(
            self._later(site, delay_s, callback, name), name=f"plugin {self.name} later: {name}"
        )
        self._scheduled[name] = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self, name: str) -> bool:
        """Forget a scheduled callback."""
        task = self._scheduled.pop(name, None)
        return task is not None and task.cancel()

    @property
    def scheduled(self) -> tuple[str, ...]:
        """The names of the callbacks that wait."""
        return tuple(self._scheduled)

    async def _later(self, site: str, delay_s: float, callback: _Callback, name: str) -> None:
        await self._outside.clock.sleep(delay_s)
        del self._scheduled[name]  # so that the callback can schedule itself again
        try:
            answer = await self.run(_coroutine(callback()), f"{self.name} {name}", None)
        except HandlerFailedError as error:
            await self.report(str(error))
            return
        text = answer.text if isinstance(answer, author.Reply) else answer
        if isinstance(text, str) and text:
            await self._say(site, text)

    async def _say(self, site: str, text: str) -> None:
        await self._outside.say(site, str(text), plugin=self.name)

    async def _event(self, kind: str, **fields: Any) -> None:
        await self._outside.event(kind, fields, plugin=self.name)

    async def _run_hooks(self, hooks: list[Callable[[Any], Awaitable[None]]], what: str) -> None:
        context = self.context(self._outside.site)
        for hook in hooks:
            try:
                await self.run(_coroutine(hook(context)), f"{self.name} {what}", None)
            except HandlerFailedError as error:
                await self.report(str(error))


@dataclass(frozen=True, slots=True)
class _Mqtt:
    outside: Outside

    async def publish(
        self, topic: str, payload: str | bytes | Mapping[str, Any], *, retain: bool = False
    ) -> None:
        if not topic or any(char in topic for char in "+#\0"):
            raise ValueError(f"{topic!r} is not a topic to publish on")
        if isinstance(payload, Mapping):
            payload = json.dumps(payload)
        data = payload.encode() if isinstance(payload, str) else bytes(payload)
        if len(data) > MAX_PAYLOAD_BYTES:
            raise ValueError(f"{len(data)} bytes for {topic!r}, the limit is {MAX_PAYLOAD_BYTES}")
        await self.outside.publish(topic, data, retain=retain)


@dataclass(frozen=True, slots=True)
class _Schedule:
    runtime: PluginRuntime
    site: str

    def __call__(self, delay: float | timedelta, callback: _Callback, name: str) -> None:
        seconds = delay.total_seconds() if isinstance(delay, timedelta) else float(delay)
        self.runtime.schedule(self.site, max(0.0, seconds), callback, name)

    def cancel(self, name: str) -> bool:
        return self.runtime.cancel(name)


async def _coroutine(work: Awaitable[_T]) -> _T:
    return await work


def _waits_at(task: asyncio.Task[Any], file: str) -> str:
    """Name the innermost line of `file` at which `task` is suspended."""
    place = "an unknown place"
    awaited: Any = task.get_coro()
    while (frame := getattr(awaited, "cr_frame", None)) is not None:
        if frame.f_code.co_filename == file or place == "an unknown place":
            place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        awaited = getattr(awaited, "cr_await", None)
    return place


@contextmanager
def _blocking_is_logged(what: str) -> Any:
    """Log where the event loop hangs if `what` keeps it from running for `BLOCKED_AFTER_S`."""
    loop, ident, finished = asyncio.get_running_loop(), threading.get_ident(), threading.Event()

    def watch() -> None:
        while not finished.wait(BLOCKED_AFTER_S):
            alive = threading.Event()
            loop.call_soon_threadsafe(alive.set)
            if alive.wait(BLOCKED_AFTER_S):
                continue
            frame = sys._current_frames().get(ident)  # noqa: SLF001 - the documented debugging aid
            at = traceback.extract_stack(frame)[-1] if frame else None
            place = f"{at.filename}:{at.lineno}" if at else "an unknown place"
            _log.error("a plugin blocks the event loop", handler=what, at=place)
            return

    threading.Thread(target=watch, name=f"watch {what}", daemon=True).start()
    try:
        yield
    finally:
        finished.set()
