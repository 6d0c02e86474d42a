"""Where a plugin's code runs: on an event loop of its own, so that it can only block itself."""

import asyncio
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, TypeVar

from assistant.clock import Clock
from assistant.outside import Model, Outside
from assistant.web import Http

GRACE_S = 1.0
"""How much longer than its time-out a call may take before the plugin counts as blocked."""
_CLOSE_S = 0.2
EXITS = (SystemExit, KeyboardInterrupt)
"""What asyncio raises through the event loop, and not only to who awaits the task."""
_ASYNCIO = str(Path(asyncio.__file__).parent)

_T = TypeVar("_T")


class BlockedError(Exception):
    """The plugin's code does not let its event loop run; the message names file and line."""


@dataclass(eq=False, slots=True)
class Work:
    """What belongs to one call of a plugin's code."""

    tasks: dict[asyncio.Task[Any], str] = field(default_factory=dict)
    """What it started and has not ended yet, with file and line that did."""
    refused: list[str] = field(default_factory=list)
    """Why messages were not published."""


WORK: ContextVar[Work | None] = ContextVar("work", default=None)
"""The call that the running code belongs to; the tasks that it starts inherit it."""


def make_task(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
    """Make a task that the call which starts it knows of: a task factory for an event loop."""
    task = asyncio.Task(work, loop=loop, **options)
    context = options.get("context")
    owner = WORK.get() if context is None else context.get(WORK)
    if owner is not None:
        owner.tasks[task] = _maker()
        task.add_done_callback(lambda done: owner.tasks.pop(done, None))
    return task


def place_of(thread: int) -> str:
    """Where a thread is now: the innermost line that is not of Python's own library."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001 - the documented debugging aid
    frames = traceback.extract_stack(frame) if frame else []
    library = threading.__file__.rpartition("/")[0]
    own = [each for each in frames if not each.filename.startswith((library, __file__))]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else "an unknown place"


def _maker() -> str:
    """Name the line outside asyncio that makes a task."""
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - the plugin's code is named in reports
    while frame is not None and frame.f_code.co_filename.startswith(_ASYNCIO):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else ""


class Stage(Protocol):
    """A place to run a plugin's code."""

    def reach(self, outside: Outside) -> Outside:
        """Give the code on this stage its way to `outside`."""
        ...

    async def call(self, work: Callable[[], Coroutine[Any, Any, _T]], limit_s: float) -> _T:
        """Run `work` there; raises `BlockedError` when it does not return long after `limit_s`."""
        ...

    async def close(self) -> None:
        """Leave it; what still runs there is cancelled, if it can be."""
        ...


class SameLoop:
    """The event loop of the caller: for tests, whose clock stands still."""

    def reach(self, outside: Outside) -> Outside:
        """Give `outside` itself."""
        asyncio.get_running_loop().set_task_factory(make_task)
        return outside

    async def call(self, work: Callable[[], Coroutine[Any, Any, _T]], limit_s: float) -> _T:
        """Await it."""
        del limit_s
        return await work()

    async def close(self) -> None:
        """Nothing to leave."""


class OwnThread:
    """A thread with an event loop for one plugin; the thread dies with the program."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_task_factory(make_task)
        self._blocked = 0
        self._ended: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name=f"plugin {name}", daemon=True)
        self._thread.start()

    def reach(self, outside: Outside) -> Outside:
        """Lead every call back to the loop that this is called on."""
        return _Bridge(outside, asyncio.get_running_loop())

    async def call(self, work: Callable[[], Coroutine[Any, Any, _T]], limit_s: float) -> _T:
        """Run `work` on the thread; while an earlier call blocks it, refuse at once."""
        if self._blocked:
            raise BlockedError(f"still blocks at {self._place()}")
        future = asyncio.run_coroutine_threadsafe(work(), self._loop)
        try:
            async with asyncio.timeout(limit_s + GRACE_S):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            if future.done() and not future.cancelled():
                raise
            place = self._place()
            self._watch()
            raise BlockedError(f"blocks at {place}: use await, or asyncio.to_thread") from None

    async def close(self) -> None:
        """Stop the loop and wait a moment for the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.wait({asyncio.wrap_future(self._ended)}, timeout=_CLOSE_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            while not self._run_until_stopped():
                pass  # what a task of the plugin's raised through the loop is that task's alone
        finally:
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.close()
            self._ended.set_result(None)

    def _run_until_stopped(self) -> bool:
        try:
            self._loop.run_forever()
        except EXITS:
            return False
        return True

    def _watch(self) -> None:
        """Count the thread as blocked until its loop runs again."""
        self._blocked += 1

        def runs_again() -> None:
            self._blocked -= 1

        self._loop.call_soon_threadsafe(runs_again)

    def _place(self) -> str:
        return place_of(self._thread.ident or 0)


@dataclass(frozen=True, slots=True)
class _BridgeClock:
    clock: Clock
    bridge: "_Bridge"

    def now(self) -> float:
        return self.clock.now()

    async def sleep(self, seconds: float) -> None:
        await self.bridge.over(self.clock.sleep(seconds))


class _Bridge:
    """An `Outside` for another thread: whatever waits does so on the loop where it belongs."""

    def __init__(self, outside: Outside, loop: asyncio.AbstractEventLoop) -> None:
        self._outside, self._loop = outside, loop
        self.clock: Clock = _BridgeClock(outside.clock, self)
        self.site = outside.site
        self.http: Http = outside.http
        self.model: Model = _BridgeModel(outside.model, self)

    async def over(self, work: Coroutine[Any, Any, _T]) -> _T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def now(self) -> datetime:
        return self._outside.now()

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        await self.over(self._outside.publish(topic, payload, retain=retain))

    async def say(self, site: str, text: str, *, plugin: str) -> None:
        await self.over(self._outside.say(site, text, plugin=plugin))

    async def event(self, kind: str, fields: Mapping[str, Any], *, plugin: str) -> None:
        await self.over(self._outside.event(kind, fields, plugin=plugin))


@dataclass(frozen=True, slots=True)
class _BridgeModel:
    model: Model
    bridge: _Bridge

    async def ask(self, text: str) -> str:
        return await self.bridge.over(self.model.ask(text))

    async def fill(self, turn_id: str, template: str) -> str:
        return await self.bridge.over(self.model.fill(turn_id, template))


async def as_coroutine(work: Awaitable[_T]) -> _T:
    """Make a coroutine of anything that can be awaited."""
    return await work
