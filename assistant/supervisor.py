"""Keeps the daemon's tasks alive: named, restarted with back-off, none lost silently."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable

import structlog

from assistant.clock import Clock
from assistant.errors import UserError

LONGEST_PAUSE_S = 30.0
HEALTHY_S = 60.0
"""A task that ran this long is forgiven its earlier failures."""

_log = structlog.get_logger(__name__)


class Supervisor:
    """Runs work again when it fails; what is the user's mistake ends the daemon instead."""

    def __init__(self, clock: Clock, chance: Callable[[], float] = random.random) -> None:
        self.restarts: Counter[str] = Counter()
        self._clock, self._chance = clock, chance

    async def keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Await `work()` until it returns; after an error, again, after a jittered pause.

        The pause doubles with each failure up to `LONGEST_PAUSE_S`. `UserError` is raised on.
        """
        failures = 0
        while True:
            started = self._clock.now()
            try:
                await work()
            except UserError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it was, the task has to go on
                if self._clock.now() - started > HEALTHY_S:
                    failures = 0
                failures += 1
                self.restarts[name] += 1
                pause_s = min(LONGEST_PAUSE_S, 0.5 * 2**failures) * (0.5 + self._chance() / 2)
                reason = f"{type(error).__name__}: {error}"
                _log.exception(
                    "task failed", task=name, reason=reason, again_in_s=round(pause_s, 1)
                )
                await self._clock.sleep(pause_s)
            else:
                return
