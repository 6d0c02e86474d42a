"""The one thread on which the engine runs, so that the event loop never waits for a pass."""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Concatenate, ParamSpec, TypeVar

from assistant.errors import TransientError

_P = ParamSpec("_P")
_T = TypeVar("_T")

CAPACITY = 16
"""Pieces of work that may wait, those given up included until the thread has passed them over."""


class Cancelled(Exception):  # noqa: N818 - an outcome, not an error
    """Work that was given up between two passes."""


class Cancel:
    """Asked between passes whether the work is still wanted."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Give the work up at the next check."""
        self._event.set()

    def __call__(self) -> bool:
        """Whether the work was given up."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise `Cancelled` when the work was given up."""
        if self():
            raise Cancelled


class Worker:
    """Runs one piece of work at a time, in order; work that is cancelled stops at its next check.

    A cancelled piece of work that already runs is waited for by the next one, never by the caller.
    The thread is a daemon: a pass of many seconds must not hold up the end of the process.
    """

    def __init__(self, name: str) -> None:
        self._queue: queue.Queue[Callable[[], None]] = queue.Queue(CAPACITY)
        self._unfinished: dict[Future[Any], Cancel] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether work runs or waits."""
        return bool(self._unfinished)

    async def run(
        self, work: Callable[Concatenate[Cancel, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """Await `work(cancel, ...)` on the thread; cancelling the caller cancels the work.

        Raises what the work raises, and `TransientError` when `CAPACITY` pieces wait already or
        after `close`.
        """
        if self._closed.is_set():
            raise TransientError("the engine is closed")
        cancel, future = Cancel(), Future[_T]()

        def begin() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                cancel.check()
                future.set_result(work(cancel, *args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - handed to the waiting task
                future.set_exception(error)

        try:
            self._queue.put_nowait(begin)
        except queue.Full:
            raise TransientError(f"{CAPACITY} pieces of work wait for the engine") from None
        self._unfinished[future] = cancel
        future.add_done_callback(lambda done: self._unfinished.pop(done, None))
        try:
            return await asyncio.wrap_future(future)
        finally:
            cancel.set()

    async def close(self, timeout_s: float) -> None:
        """Give up all work and wait up to `timeout_s` for the thread to end; no more is taken."""
        self._closed.set()
        for future, cancel in list(self._unfinished.items()):
            cancel.set()
            future.cancel()
        with suppress(queue.Full):  # then the thread is awake anyway
            self._queue.put_nowait(lambda: None)
        await asyncio.to_thread(self._thread.join, timeout_s)

    def _serve(self) -> None:
        while not self._closed.is_set():
            self._queue.get()()
