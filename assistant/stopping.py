"""How a daemon stops: told once, within two seconds, and with the error that is worth telling."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from assistant.errors import UserError

CLOSE_S = 0.9
"""What the rooms may take to close before the broker is told good-bye without them."""
FAREWELL_S = 1.0
"""What the good-bye may take; with `CLOSE_S`, a stop is over within two seconds."""

_log = structlog.get_logger(__name__)


async def serve_until(
    stop: asyncio.Event, work: Coroutine[Any, Any, None], *, grace_s: float = CLOSE_S + FAREWELL_S
) -> None:
    """Await `work`, or cancel it when `stop` is set and give it `grace_s` to close.

    Raises what `work` raised; of a group of errors, the first that is the user's to mend.
    """
    task = asyncio.create_task(work, name="daemon")
    waiter = asyncio.create_task(stop.wait(), name="stop signal")
    try:
        await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiter.cancel()
        await end(task, grace_s)
    if not task.done():
        _log.error("the daemon does not close", waited_s=grace_s)
    elif not task.cancelled() and (error := task.exception()):
        raise _plainest(error)


async def end(task: asyncio.Task[Any], timeout_s: float) -> None:
    """Cancel a task and wait for its end, but not for ever."""
    if not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=timeout_s)


def _plainest(error: BaseException) -> BaseException:
    """Of a group of errors the one worth telling."""
    while isinstance(error, BaseExceptionGroup):
        users, _ = error.split(UserError)
        error = (users or error).exceptions[0]
    return error
