"""How a stop signal ends the daemon, and what its errors look like."""

import asyncio

import pytest

from assistant.errors import UserError
from assistant.stopping import serve_until


async def test_work_that_ends_ends_it():
    ran = []

    async def work() -> None:
        ran.append(1)

    await serve_until(asyncio.Event(), work())
    assert ran == [1]


async def test_a_signal_cancels_the_work_and_waits_for_it_to_close():
    stop, closed = asyncio.Event(), []

    async def work() -> None:
        try:
            stop.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            closed.append(1)

    await serve_until(stop, work())
    assert closed == [1]


async def test_work_that_does_not_close_is_left_behind():
    stop, release = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        stop.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    async with asyncio.timeout(5):
        await serve_until(stop, stubborn(), grace_s=0.01)
    release.set()


async def test_the_users_mistake_is_found_among_other_errors():
    async def work() -> None:
        nested = ExceptionGroup("inner", [UserError("no such file")])
        raise ExceptionGroup("outer", [ZeroDivisionError(), nested])

    with pytest.raises(UserError, match="no such file"):
        await serve_until(asyncio.Event(), work())


async def test_a_group_without_one_becomes_its_first_error():
    async def work() -> None:
        raise ExceptionGroup("outer", [ZeroDivisionError(), ValueError()])

    with pytest.raises(ZeroDivisionError):
        await serve_until(asyncio.Event(), work())


async def test_its_own_cancellation_reaches_the_work():
    began, closed = asyncio.Event(), []

    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            closed.append(1)

    task = asyncio.create_task(serve_until(asyncio.Event(), work()))
    await began.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert closed == [1]
    assert task.cancelled()
