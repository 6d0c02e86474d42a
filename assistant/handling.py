"""Handlers at work: each in a task of its own, with a time-out, so that one costs only its turn."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import structlog

from assistant.answers import Reply
from assistant.errors import AssistantError
from assistant.loading import LoadedPlugin, location
from assistant.outside import Outside
from assistant.reach import Allowance, PluginMqtt
from assistant.stage import EXITS, WORK, Work, as_coroutine
from assistant.store import Store
from assistant.tools import Context

MAX_SCHEDULED = 100
"""Callbacks of one plugin waiting at the same time."""
_CANCEL_S = 0.5
"""How long cancelled tasks may take to end before they are left behind."""

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")
_Callback = Callable[[], Awaitable[Reply | str | None]]


class HandlerFailedError(Exception):
    """A plugin's code raised, took too long or returned something else than an answer."""


class PluginRuntime:
    """One plugin while the assistant runs: its schedule, its tasks and its errors.

    Everything but `scheduled` is used on the event loop of the plugin's stage.
    """

    def __init__(
        self,
        loaded: LoadedPlugin,
        outside: Outside,
        store: Store,
        allowance: Allowance,
        timeout_s: float,
    ) -> None:
        self._outside, self._store = outside, store
        self._mqtt = PluginMqtt(outside, allowance)
        self._timeout_s = timeout_s
        self._scheduled: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self.loaded = loaded
        self.name = loaded.plugin.name
        self._file = loaded.plugin.source.rpartition(":")[0]

    async def start(self) -> None:
        """Run the plugin's `on_start` hooks; one that fails is published as an error event."""
        await self._run_hooks(self.loaded.plugin.start_hooks, "on_start")

    async def stop(self) -> None:
        """Run the plugin's `on_stop` hooks, forget what is scheduled, end its own tasks."""
        await self._run_hooks(self.loaded.plugin.stop_hooks, "on_stop")
        self._scheduled.clear()
        await _cancel(self._tasks)

    def limit_s(self, timeout_s: float | None) -> float:
        """Give the time-out of a call, which is the settings' where it has none of its own."""
        return timeout_s or self._timeout_s

    async def run(
        self,
        work: Coroutine[Any, Any, _T],
        what: str,
        timeout_s: float | None,
        *,
        lasting: bool = False,
    ) -> _T:
        """Await the plugin's `work` with a time-out (the settings' where None).

        Tasks that it leaves behind are cancelled and reported; those of `lasting` work live until
        the plugin stops. Raises `HandlerFailedError`, whose message names file and line. A handler
        that swallows its cancellation is left behind.
        """
        limit_s, owner = self.limit_s(timeout_s), Work()
        context = contextvars.copy_context()
        context.run(WORK.set, owner)
        task = asyncio.create_task(_held(work), name=f"plugin {what}", context=context)
        try:
            await asyncio.wait({task}, timeout=limit_s)
            if not task.done():
                at = _waits_at(task, self._file)
                raise HandlerFailedError(f"{what} took longer than {limit_s:g} s at {at}")
        finally:
            task.cancel()
            made = owner.tasks.items()
            left = {each: at for each, at in made if each is not task and not each.done()}
            await self._settle(left, what, lasting=lasting)
        try:
            result = _result(task)
        except (Exception, *EXITS, asyncio.CancelledError) as error:
            where = location(error, self._file)
            named = f"{what}: {type(error).__name__}: {error} at {where}"
            raise HandlerFailedError(named) from error
        for refusal in owner.refused:
            await self.report(refusal)  # the plugin itself kept quiet about it
        return result

    def tools(self, site: str) -> dict[str, Any]:
        """Give the fields of `tools.Context` for `site`."""
        return {
            "site": site,
            "config": self.loaded.config,
            "mqtt": self._mqtt,
            "store": self._store,
            "http": self._outside.http,
            "schedule": _Schedule(self, site),
            "say": partial(self._say, site),
            "event": self._event,
            "at": self.context,
            "now": self._outside.now,
        }

    def model(self, turn_id: str) -> dict[str, Any]:
        """Give the fields of `tools.Turn` that reach the language model."""
        return {"ask": self._outside.model.ask, "fill": partial(self._outside.model.fill, turn_id)}

    def context(self, site: str) -> Context[Any]:
        """Give the plugin its tools for `site`."""
        return Context(**self.tools(site))

    async def report(self, reason: str) -> None:
        """Publish and log that the plugin failed outside a turn."""
        _log.error("plugin failed", plugin=self.name, reason=reason)
        await self._outside.event("error", {"reason": reason}, plugin=self.name)

    def schedule(self, site: str, delay_s: float, callback: _Callback, name: str) -> None:
        """Start the task behind `tools.Schedule`."""
        self.cancel(name)
        if len(self._scheduled) >= MAX_SCHEDULED:
            raise ValueError(f"{self.name} has {MAX_SCHEDULED} callbacks waiting already")
        task = asyncio.create_task(
            self._later(site, delay_s, callback, name),
            name=f"plugin {self.name} later: {name}",
            context=contextvars.Context(),  # it outlives the call that schedules it
        )
        self._scheduled[name] = task
        self._keep(task)

    def cancel(self, name: str) -> bool:
        """Forget a scheduled callback."""
        task = self._scheduled.pop(name, None)
        return task is not None and task.cancel()

    @property
    def scheduled(self) -> tuple[str, ...]:
        """The names of the callbacks that wait."""
        return tuple(self._scheduled)

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle(
        self, left: Mapping[asyncio.Task[Any], str], what: str, *, lasting: bool
    ) -> None:
        """Decide on the tasks that a call left behind."""
        if lasting:
            for task in left:
                self._keep(task)
            return
        if left:
            task, made_at = next(iter(left.items()))
            at = _waits_at(task, self._file)
            if not at.startswith(f"{self._file}:") and made_at:
                at = f"{at}, made at {made_at}"
            await _cancel(set(left))
            advice = "await it, or use turn.schedule"
            count = "a task" if len(left) == 1 else f"{len(left)} tasks"
            await self.report(f"{what} left {count} running at {at}, now cancelled: {advice}")

    async def _later(self, site: str, delay_s: float, callback: _Callback, name: str) -> None:
        await self._outside.clock.sleep(delay_s)
        del self._scheduled[name]  # so that the callback can schedule itself again
        try:
            answer = await self.run(as_coroutine(callback()), f"{self.name} {name}", None)
            text = answer.text if isinstance(answer, Reply) else answer
            if not isinstance(text, str | None):
                await self.report(
                    f"{self.name} {name} returned {answer!r:.80}, not a Reply, a text or None "
                    f"at {self.loaded.plugin.source}"
                )
            elif text:
                await self._say(site, text)
        except (HandlerFailedError, AssistantError, ValueError) as error:  # no such site
            await self.report(str(error))

    async def _say(self, site: str, text: str) -> None:
        await self._outside.say(site, str(text), plugin=self.name)

    async def _event(self, kind: str, **fields: Any) -> None:
        await self._outside.event(kind, fields, plugin=self.name)

    async def _run_hooks(self, hooks: list[Callable[[Any], Awaitable[None]]], what: str) -> None:
        context = self.context(self._outside.site)
        for hook in hooks:
            try:
                work = as_coroutine(hook(context))
                await self.run(work, f"{self.name} {what}", None, lasting=True)
            except HandlerFailedError as error:
                await self.report(str(error))


@dataclass(frozen=True, slots=True)
class _Schedule:
    runtime: PluginRuntime
    site: str

    def __call__(self, delay: float | timedelta, callback: _Callback, name: str) -> None:
        seconds = delay.total_seconds() if isinstance(delay, timedelta) else float(delay)
        self.runtime.schedule(self.site, max(0.0, seconds), callback, name)

    def cancel(self, name: str) -> bool:
        return self.runtime.cancel(name)


@dataclass(frozen=True, slots=True)
class _Exit:
    """What a call ended with instead of a result."""

    error: BaseException


async def _held(work: Coroutine[Any, Any, _T]) -> "_T | _Exit":
    """Await `work`; an exit is handed over, which a task would raise through its event loop."""
    try:
        return await work
    except EXITS as error:
        return _Exit(error)


def _result(task: "asyncio.Task[_T | _Exit]") -> _T:
    result = task.result()
    if isinstance(result, _Exit):
        raise result.error
    return result


def _waits_at(task: asyncio.Task[Any], file: str) -> str:
    """Name the innermost line of `file` at which `task` is suspended."""
    place = "an unknown place"
    awaited: Any = task.get_coro()
    while (frame := getattr(awaited, "cr_frame", None)) is not None:
        if frame.f_code.co_filename == file or place == "an unknown place":
            place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        awaited = getattr(awaited, "cr_await", None)
    return place


async def _cancel(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait a moment for their end."""
    ending = set(tasks)
    for task in ending:
        task.cancel()
    if ending:
        await asyncio.wait(ending, timeout=_CANCEL_S)
