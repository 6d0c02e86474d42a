"""Tasks that fail are started again, later each time; the user's mistakes are not."""

import asyncio

import pytest

from assistant.errors import TransientError, UserError
from assistant.supervisor import HEALTHY_S, LONGEST_PAUSE_S, Supervisor
from assistant.testing import FakeClock
from tests.daemon.support import settle


class Flaky:
    """Fails in a given way each time, after living so long."""

    def __init__(self, clock: FakeClock, error: Exception, lives_s: float = 0.0) -> None:
        self.starts: list[float] = []
        self._clock, self._error, self.lives_s = clock, error, lives_s

    async def __call__(self) -> None:
        self.starts.append(self._clock.now())
        if self.lives_s:
            await self._clock.sleep(self.lives_s)
        raise self._error

    @property
    def pauses(self) -> list[float]:
        return [round(b - a - self.lives_s, 3) for a, b in zip(self.starts, self.starts[1:])]  # noqa: B905


async def test_the_pause_doubles_up_to_its_limit():
    clock = FakeClock()
    work = Flaky(clock, TransientError("away"))
    supervisor = Supervisor(clock, chance=lambda: 1.0)
    task = asyncio.create_task(supervisor.keep("flaky", work))
    await clock.advance(120)
    task.cancel()
    assert work.pauses[:7] == [1, 2, 4, 8, 16, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    assert supervisor.restarts["flaky"] == len(work.starts)


async def test_pauses_are_spread_by_chance():
    clock = FakeClock()
    work = Flaky(clock, TransientError("away"))
    task = asyncio.create_task(Supervisor(clock, chance=lambda: 0.0).keep("flaky", work))
    await clock.advance(4)
    task.cancel()
    assert work.pauses == [0.5, 1, 2]


async def test_a_task_that_failed_for_months_still_starts_again():
    clock = FakeClock()
    work = Flaky(clock, TransientError("away"))
    task = asyncio.create_task(Supervisor(clock, chance=lambda: 1.0).keep("flaky", work))
    await clock.advance(LONGEST_PAUSE_S * 1200)
    assert len(work.starts) > 1100
    assert not task.done()
    task.cancel()


async def test_a_task_that_ran_well_is_forgiven():
    clock = FakeClock()
    work = Flaky(clock, TransientError("away"), lives_s=HEALTHY_S + 1)
    task = asyncio.create_task(Supervisor(clock, chance=lambda: 1.0).keep("flaky", work))
    await clock.advance(5 * (HEALTHY_S + 2))
    task.cancel()
    assert set(work.pauses) == {1.0}


async def test_each_failure_is_told_in_one_line():
    clock, told = FakeClock(), []
    work = Flaky(clock, ZeroDivisionError("by nought"))
    task = asyncio.create_task(Supervisor(clock).keep("sums", work, told.append))
    await settle()
    task.cancel()
    assert told == ["sums failed and is started again: ZeroDivisionError: by nought"]


async def test_the_users_mistake_is_raised():
    clock = FakeClock()
    with pytest.raises(UserError, match="no such recording"):
        await Supervisor(clock).keep("file", Flaky(clock, UserError("no such recording")))


async def test_work_that_returns_is_not_started_again():
    clock, runs = FakeClock(), []

    async def work() -> None:
        runs.append(1)

    await Supervisor(clock).keep("short", work)
    assert runs == [1]
