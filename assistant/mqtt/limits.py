"""How often something may happen."""

from assistant.clock import Clock


class TokenBucket:
    """Lets a burst through at once, and after it no more than so many a second."""

    def __init__(self, clock: Clock, *, per_s: float, burst: float) -> None:
        """`burst` is at least 1, or nothing is ever let through."""
        self._clock, self._per_s, self._burst = clock, per_s, burst
        self._tokens, self._filled_at = burst, clock.now()

    def take(self) -> bool:
        """Whether it may happen now; if so, it counts."""
        now = self._clock.now()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_s)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
