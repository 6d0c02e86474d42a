"""Commands from outside, vetted, counted and queued."""

import asyncio
from collections.abc import AsyncIterator, Callable

import structlog

from assistant.clock import Clock
from assistant.mqtt.commands import Command, RefusedCommandError, parse_command
from assistant.mqtt.counters import Counters
from assistant.mqtt.topics import Topics

_log = structlog.get_logger(__name__)

_CAPACITY = 64
_REPORT_BURST = 20
_REPORTS_PER_S = 1.0


class Inbox:
    """A bounded queue of commands; when it is full the oldest is dropped and counted.

    Nothing that arrives can raise: what cannot be obeyed is counted and reported, as one line in
    the log and through `report`. A flood of it is counted in full but reported once a second.
    """

    def __init__(
        self,
        topics: Topics,
        counters: Counters,
        clock: Clock,
        *,
        max_payload_bytes: int,
        report: Callable[[str], None],
    ) -> None:
        """`report` is called with one line for each command that is refused or dropped."""
        self._topics = topics
        self._counters = counters
        self._clock = clock
        self._max_payload_bytes = max_payload_bytes
        self._report = report
        self._queue: asyncio.Queue[Command] = asyncio.Queue(_CAPACITY)
        self._allowance = float(_REPORT_BURST)
        self._allowed_at = clock.now()

    def take(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """Vet one message and queue its command; a topic that is no command is passed over."""
        name = self._topics.parse(topic)
        if name is None:
            return
        try:
            self._vet(payload, retained=retained)
            command = parse_command(name, payload)
        except RefusedCommandError as error:
            self._counters.refused_commands += 1
            self._tell(f"refused a command on {topic}: {error}")
            return
        if self._queue.full():
            self._queue.get_nowait()
            self._counters.dropped_commands += 1
            self._tell(f"dropped a command: more than {_CAPACITY} wait")
        self._queue.put_nowait(command)

    @property
    def depth(self) -> int:
        """How many commands wait."""
        return self._queue.qsize()

    async def commands(self) -> AsyncIterator[Command]:
        """Every command, in order, for ever; meant for one consumer."""
        while True:
            yield await self._queue.get()

    def _vet(self, payload: bytes, *, retained: bool) -> None:
        if retained:
            raise RefusedCommandError("it is retained, so it may be old: send it without")
        if len(payload) > self._max_payload_bytes:
            size = f"{len(payload)} bytes, over {self._max_payload_bytes}"
            raise RefusedCommandError(f"it has {size} (mqtt.max_payload_bytes)")

    def _tell(self, line: str) -> None:
        now = self._clock.now()
        earned = (now - self._allowed_at) * _REPORTS_PER_S
        self._allowance = min(self._allowance + earned, _REPORT_BURST)
        self._allowed_at = now
        if self._allowance < 1:
            return
        self._allowance -= 1
        _log.warning(line)
        self._report(line)
