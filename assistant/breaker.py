"""A rest for what fails again and again, so that it costs nobody's time."""

from collections.abc import Callable

FAILURES = 3
"""Failures in a row after which a rest begins."""
REST_S = 60.0
"""How long it lasts; then one try is allowed, and another rest begins when that fails, too."""


class Breaker:
    """Counts the failures of one handler. `now` gives seconds that never go back."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._failures = 0
        self._rests_until: float | None = None

    @property
    def open(self) -> bool:
        """Whether the handler rests; once its rest is over it may be tried."""
        return self._rests_until is not None and self._now() < self._rests_until

    def succeeded(self) -> bool:
        """Note a success; says whether it is the first after a rest."""
        recovered = self._rests_until is not None
        self._failures, self._rests_until = 0, None
        return recovered

    def failed(self) -> bool:
        """Note a failure; says whether a rest begins with it."""
        self._failures += 1
        if self._failures < FAILURES:
            return False
        self._rests_until = self._now() + REST_S
        return True
