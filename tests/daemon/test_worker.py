"""The engine's thread: one piece of work at a time, each of which can be given up."""

import asyncio
import threading

import pytest

from assistant.errors import TransientError
from assistant.worker import CAPACITY, Cancel, Cancelled, Worker

PATIENCE_S = 5.0


class Passes:
    """Work in passes that a test lets through one by one."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.go_on = threading.Semaphore(0)
        self.done = 0
        self.outcome = ""

    def __call__(self, cancel: Cancel) -> str:
        self.began.set()
        try:
            for _ in range(3):
                assert self.go_on.acquire(timeout=PATIENCE_S)
                cancel.check()
                self.done += 1
        except Cancelled:
            self.outcome = "cancelled"
            raise
        self.outcome = "finished"
        return self.outcome


async def until_set(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, PATIENCE_S)


@pytest.fixture
async def worker():
    made = Worker("test engine")
    yield made
    await made.close(PATIENCE_S)
    assert not made._thread.is_alive()


async def test_work_runs_on_its_own_thread_and_in_order(worker: Worker):
    def name(cancel: Cancel, number: int) -> tuple[int, str]:
        return number, threading.current_thread().name

    results = await asyncio.gather(*(worker.run(name, number) for number in range(5)))
    assert results == [(number, "test engine") for number in range(5)]
    assert not worker.busy


async def test_what_the_work_raises_is_raised(worker: Worker):
    def fail(cancel: Cancel) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await worker.run(fail)


async def test_cancelled_work_stops_between_two_passes_and_its_caller_at_once(worker: Worker):
    passes = Passes()
    task = asyncio.create_task(worker.run(passes))
    await until_set(passes.began)
    task.cancel()
    await asyncio.wait({task}, timeout=PATIENCE_S)
    assert task.cancelled()
    assert worker.busy
    passes.go_on.release(3)
    assert await worker.run(lambda cancel: "next") == "next"
    assert (passes.outcome, worker.busy) == ("cancelled", False)
    assert passes.done <= 1


async def test_work_cancelled_while_it_waits_never_begins(worker: Worker):
    first, second = Passes(), Passes()
    tasks = [asyncio.create_task(worker.run(work)) for work in (first, second)]
    await until_set(first.began)
    tasks[1].cancel()
    await asyncio.wait({tasks[1]}, timeout=PATIENCE_S)
    first.go_on.release(3)
    assert await tasks[0] == "finished"
    assert await worker.run(lambda cancel: cancel()) is False
    assert not second.began.is_set()


async def test_too_much_waiting_work_is_refused(worker: Worker):
    block = Passes()
    tasks = [asyncio.create_task(worker.run(block))]
    await until_set(block.began)
    tasks += [asyncio.create_task(worker.run(lambda cancel: None)) for _ in range(CAPACITY)]
    await asyncio.sleep(0)
    with pytest.raises(TransientError, match="wait for the engine"):
        await worker.run(lambda cancel: None)
    block.go_on.release(3)
    await asyncio.gather(*tasks)


async def test_closing_gives_up_what_runs_and_what_waits():
    worker, running, waiting = Worker("test engine"), Passes(), Passes()
    tasks = [asyncio.create_task(worker.run(work)) for work in (running, waiting)]
    await until_set(running.began)
    running.go_on.release(3)
    await worker.close(PATIENCE_S)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not worker._thread.is_alive()
    assert not waiting.began.is_set()


async def test_closing_does_not_wait_for_a_pass_that_does_not_end():
    worker, passes = Worker("test engine"), Passes()
    task = asyncio.create_task(worker.run(passes))
    await until_set(passes.began)
    await worker.close(0.01)
    assert worker._thread.is_alive()
    assert worker._thread.daemon
    passes.go_on.release(3)
    await asyncio.gather(task, return_exceptions=True)


async def test_nothing_is_taken_after_the_end():
    worker = Worker("test engine")
    await worker.close(PATIENCE_S)
    with pytest.raises(TransientError, match="closed"):
        await asyncio.wait_for(worker.run(lambda cancel: None), PATIENCE_S)
    assert not worker.busy
