"""How much of the time an engine is at work, whose parts work in threads beside each other."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class Spent:
    """Seconds of an engine's time."""

    busy_s: float = 0.0
    """Encoding or denoising."""
    denoising_s: float = 0.0
    filled_s: float = 0.0
    """The same, each moment weighed by the share of the batch that was in use."""


class Working:
    """Adds up the time in which at least one part is at work, and how full the batch is."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Use a clock of seconds."""
        self._clock, self._lock = clock, threading.Lock()
        self._parts, self._since_s = 0, 0.0
        self._spent = Spent()

    @contextmanager
    def part(self, filled: float = 0.0) -> Iterator[None]:
        """Count what happens within as work: denoising, if so much of the batch was in use."""
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
                    self._spent.busy_s += now - self._since_s
                if filled:
                    self._spent.denoising_s += now - began
                    self._spent.filled_s += filled * (now - began)

    def taken(self) -> Spent:
        """What was spent since this was last asked."""
        now = self._clock()
        with self._lock:
            if self._parts:
                self._spent.busy_s += now - self._since_s
                self._since_s = now
            spent, self._spent = self._spent, Spent()
        return spent
