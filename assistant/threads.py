"""Work on threads that nobody waits for when the program ends, as asyncio would for its own."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

_T = TypeVar("_T")


def in_thread(work: Callable[[], _T], name: str) -> asyncio.Future[_T]:
    """Run `work` on a daemon thread of its own; the future has what it returns or raises.

    Giving the future up does not stop the thread.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def run() -> None:
        done = Future[_T]()
        _fulfil(done, work)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, future, done)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


def beside(work: Callable[[], _T], name: str) -> Callable[[], _T]:
    """Begin `work` on a daemon thread; what comes back waits for its end and gives its result.

    It raises what `work` raises.
    """
    done = Future[_T]()
    threading.Thread(target=_fulfil, args=(done, work), name=name, daemon=True).start()
    return done.result


def _fulfil(future: Future[_T], work: Callable[[], _T]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
        future.set_exception(error)


def _settle(future: asyncio.Future[_T], done: Future[_T]) -> None:
    if future.done():
        return
    if error := done.exception():
        future.set_exception(error)
    else:
        future.set_result(done.result())
