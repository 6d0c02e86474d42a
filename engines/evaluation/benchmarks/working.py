"""How much of the time an engine is at work, whose parts work in threads beside each other."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Working:
    """Adds up the time in which at least one part is at work, and how full the batch is."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Use a clock of seconds."""
        self._clock, self._lock = clock, threading.Lock()
        self._parts, self._since_s = 0, 0.0
        self._busy_s = self._filled_s = 0.0

    @contextmanager
    def part(self, filled: float = 0.0) -> Iterator[None]:
        """Count what happens within as work; with it so much of the batch was in use."""
        began = self._clock()
        with self._lock:
            if not self._parts:
                self._since_s = began
            self._parts += 1
        try:
            yield
        finally:
            now = self._clock()
            with self._lock:
                self._parts -= 1
                if not self._parts:
                    self._busy_s += now - self._since_s
                self._filled_s += filled * (now - began)

    def taken(self) -> tuple[float, float]:
        """Seconds at work since this was last asked, and seconds times share of the batch."""
        now = self._clock()
        with self._lock:
            if self._parts:
                self._busy_s += now - self._since_s
                self._since_s = now
            taken = self._busy_s, self._filled_s
            self._busy_s = self._filled_s = 0.0
        return taken
