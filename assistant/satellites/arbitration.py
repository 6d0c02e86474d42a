"""Of several satellites that hear the same voice, which one answers."""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claim:
    """A satellite hears a voice and would like to answer it."""

    site: str
    level_dbfs: float
    """How loud the voice is there."""
    at: float
    """When the claim was made or arrived, in seconds on the local clock."""
    answers: bool = False
    """A question that was asked there waits for its answer."""

    def beats(self, other: "Claim") -> bool:
        """Whether it answers, or is louder; of equals, the first by name, so that all agree."""
        return self.rank < other.rank

    @property
    def rank(self) -> tuple[bool, float, str]:
        """Sorts the best first."""
        return not self.answers, -self.level_dbfs, self.site


class Arbiter:
    """Weighs the claims of others against one's own; every satellite does, none is in charge.

    A claim counts when it comes within the window, before or after one's own. The recent claims
    that are kept are few, whatever is sent.
    """

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._others: deque[Claim] = deque(maxlen=16)
        self._own: Claim | None = None

    def claim(self, own: Claim) -> Claim | None:
        """Make one's own claim; gives the one that is better already, if any."""
        self._own = own
        return next((other for other in self._others if self._outbids(other)), None)

    def hear(self, other: Claim) -> Claim | None:
        """Take another's claim; gives it back if it is better than one's own."""
        self._others.append(other)
        return other if self._outbids(other) else None

    def settle(self) -> None:
        """Forget one's own claim: its utterance is over."""
        self._own = None

    def _outbids(self, other: Claim) -> bool:
        own = self._own
        return (
            own is not None
            and self._window_s > 0
            and abs(other.at - own.at) <= self._window_s
            and other.beats(own)
        )
