"""Between listening, which cannot wait, and answering, which can be slow."""

import asyncio
from collections import deque

from assistant.audio.events import Dropped, Ended, Event, Paused, Progress, Resumed, Started
from assistant.turn import EndReason


class Mailbox:
    """A bounded queue of events that forgets what has become pointless.

    A newer event replaces a waiting `Progress`; a `Paused` that was followed by a `Resumed` or an
    end was never worth telling. At most `limit` finished utterances wait: one more overtakes the
    oldest, which is told as `Dropped` where its start was told already, and counted.
    """

    def __init__(self, limit: int = 8) -> None:
        self.dropped_utterances = 0
        """Utterances that nobody collected in time."""
        self._limit = limit
        self._waiting: deque[Event] = deque()
        self._filled = asyncio.Event()
        self._taken = asyncio.Event()
        self._closed = False

    @property
    def is_full(self) -> bool:
        """Whether one more utterance would overtake the oldest."""
        return sum(isinstance(event, Ended) for event in self._waiting) >= self._limit

    def put(self, event: Event) -> None:
        """Add an event, at once."""
        self._forget(Progress)
        match event:
            case Resumed() if self._forget(Paused):
                return
            case Dropped():
                self._forget(Paused)
                if self._waiting and isinstance(self._waiting[-1], Started):
                    self._waiting.pop()
                    return
            case Ended():
                self._forget(Paused)
                if self.is_full:
                    self.dropped_utterances += 1
                    self._drop_oldest()
        self._waiting.append(event)
        self._filled.set()

    async def get(self) -> Event | None:
        """Wait for the next event; None when the mailbox is closed and empty."""
        while not self._waiting:
            if self._closed:
                return None
            self._filled.clear()
            await self._filled.wait()
        self._taken.set()
        return self._waiting.popleft()

    def give_up(self) -> None:
        """Let no finished utterance that waits be answered: its speaker cancels it."""
        while any(isinstance(event, Ended) for event in self._waiting):
            self._drop_oldest()

    async def room(self) -> None:
        """Wait until the mailbox is not full."""
        while self.is_full:
            self._taken.clear()
            await self._taken.wait()

    def reopen(self) -> None:
        """Undo `close`."""
        self._closed = False

    def close(self) -> None:
        """Let `get` return None after what is waiting."""
        self._closed = True
        self._filled.set()

    def _forget(self, kind: type[Progress | Paused]) -> bool:
        """Take back a waiting event of this kind; there is one at most, at the end."""
        if self._waiting and isinstance(self._waiting[-1], kind):
            self._waiting.pop()
            return True
        return False

    def _drop_oldest(self) -> None:
        index = next(i for i, event in enumerate(self._waiting) if isinstance(event, Ended))
        if index and isinstance(self._waiting[index - 1], Started):
            del self._waiting[index], self._waiting[index - 1]
        else:
            self._waiting[index] = Dropped(EndReason.CANCELLED)
