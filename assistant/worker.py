"""The one thread on which the engine runs, so that the event loop never waits for a pass."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Concatenate, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


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
    """

    def __init__(self, name: str) -> None:
        self._threads = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._pending: set[Future[Any]] = set()

    @property
    def busy(self) -> bool:
        """Whether work runs or waits."""
        return bool(self._pending)

    async def run(
        self, work: Callable[Concatenate[Cancel, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """Await `work(cancel, ...)` on the thread; cancelling the caller cancels the work."""
        cancel = Cancel()

        def begin() -> _T:
            cancel.check()
            return work(cancel, *args, **kwargs)

        future = self._threads.submit(begin)
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        try:
            return await asyncio.wrap_future(future)
        finally:
            cancel.set()

    def close(self) -> None:
        """Start no more work; what runs is left to end by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)
