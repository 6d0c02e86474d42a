"""Keeps the daemon's tasks alive: named, restarted with back-off, none lost silently."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable

import structlog

from assistant.clock import Clock
from assistant.errors import AssistantError, UserError

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
_LONGEST_SERIES = 10
"""Failures beyond this lengthen no pause, which keeps the power a small number."""
HEALTHY_S = 60.0
"""A task that ran this long is forgiven its earlier failures."""

_log = structlog.get_logger(__name__)


class Supervisor:
    """Runs work again when it fails; what is the user's mistake ends the daemon instead."""

    def __init__(self, clock: Clock, chance: Callable[[], float] = random.random) -> None:
        """`chance` is between 0 and 1 and spreads the pauses."""
        self.restarts: Counter[str] = Counter()
        """How often each task failed, by its name."""
        self._clock, self._chance = clock, chance

    async def keep(
        self,
        name: str,
        work: Callable[[], Awaitable[None]],
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Await `work()` until it returns; after an error, again, after a jittered pause.

        The pause doubles with each failure up to `LONGEST_PAUSE_S`; the reason of each failure is
        logged and given to `tell` as one line. `UserError` is raised on.
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
                failures = min(failures + 1, _LONGEST_SERIES)
                self.restarts[name] += 1
                reason = _reason(error)
                longest_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (failures - 1))
                pause_s = longest_s * (0.5 + self._chance() / 2)
                log = _log.warning if isinstance(error, AssistantError) else _log.exception
                log("task failed", task=name, reason=reason, again_in_s=round(pause_s, 1))
                tell(f"{name} failed and is started again: {reason}")
                await self._clock.sleep(pause_s)
            else:
                return


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, AssistantError) else f"{type(error).__name__}: {error}"
