"""Commands and requests from outside, vetted, limited, counted and queued."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import structlog

from assistant.clock import Clock
from assistant.mqtt.commands import Command, RefusedCommandError, parse_command
from assistant.mqtt.counters import Counters
from assistant.mqtt.envelope import NO_ENVELOPE, Envelope
from assistant.mqtt.limits import TokenBucket
from assistant.mqtt.requests import Inquiry, Requester, Response, parse_request
from assistant.mqtt.topics import RequestName, Topics
from assistant.settings import MqttSettings

BURST_S = 5.0
"""A topic that was silent may bring the messages of so many seconds at once."""
_CAPACITY = 64
_REPORT_BURST = 20
_REPORTS_PER_S = 1.0

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")


class Inbox:
    """Two bounded queues, of commands and of requests; a full one drops its oldest, and counts it.

    Nothing that arrives can raise: what cannot be obeyed is counted and reported, as one line in
    the log and through `report`, and a request is refused through `respond`. A flood is counted in
    full but reported once a second, and what is over the rate of its topic is not even read.
    """

    def __init__(
        self,
        topics: Topics,
        counters: Counters,
        clock: Clock,
        settings: MqttSettings,
        *,
        report: Callable[[str], None],
        respond: Callable[[Requester, Response], None],
        wall_time: Callable[[], float] = time.time,
    ) -> None:
        """`report` is called with one line for each message that is refused or dropped.

        `wall_time` gives seconds since 1970.
        """
        self._topics = topics
        self._counters = counters
        self._settings = settings
        self._report = report
        self._respond = respond
        self._wall_time = wall_time
        self._commands: asyncio.Queue[Command] = asyncio.Queue(_CAPACITY)
        self._requests: asyncio.Queue[Inquiry] = asyncio.Queue(_CAPACITY)
        self._reports = TokenBucket(clock, per_s=_REPORTS_PER_S, burst=_REPORT_BURST)
        per_s = settings.commands_per_s
        self._limits = {
            topic: TokenBucket(clock, per_s=per_s, burst=max(1.0, per_s * BURST_S))
            for topic in topics.incoming
        }

    def take(
        self, topic: str, payload: bytes, *, retained: bool, envelope: Envelope = NO_ENVELOPE
    ) -> None:
        """Vet one message and queue it; a topic that is not listened to is passed over."""
        name = self._topics.parse(topic)
        if name is None:
            return
        if not self._limits[topic].take():
            self._counters.limited_commands += 1
            most = f"more than {self._settings.commands_per_s:g} a second (mqtt.commands_per_s)"
            self._tell(f"dropped a message on {topic}: {most}")
            return
        try:
            self._vet(payload, retained=retained)
            if isinstance(name, RequestName):
                self._take_request(name, payload, envelope)
            else:
                command = parse_command(name, payload)
                self._check_age(command)
                self._put(self._commands, command)
        except RefusedCommandError as error:
            self._counters.refused_commands += 1
            self._tell(f"refused a command on {topic}: {error}")
            if isinstance(name, RequestName) and not retained:
                wanted = envelope.respond_to
                where = wanted if wanted and self._may_answer_on(wanted) else None
                whom = Requester(name, error.transaction, where, envelope.correlation)
                self._respond(whom, Response(status="error", error=str(error)))

    def _take_request(self, name: RequestName, payload: bytes, envelope: Envelope) -> None:
        request = parse_request(name, payload)
        self._check_age(request)
        if (wanted := envelope.respond_to) and not self._may_answer_on(wanted):
            raise RefusedCommandError(f"no answer is sent to {wanted[:80]!r}: name another topic")
        whom = Requester(name, request.transaction, wanted, envelope.correlation)
        self._put(self._requests, Inquiry(request, whom))

    def _may_answer_on(self, topic: str) -> bool:
        """An answer must not become a command, to any assistant or to the broker."""
        is_name = not set(topic) & set("+#\0") and not topic.startswith("$")
        there = Topics(self._topics.base, self._topics.site_of(topic))
        return is_name and there.parse(topic) is None

    def _check_age(self, command: Command) -> None:
        until_s = math.inf if command.expires_at is None else command.expires_at
        late_s = self._wall_time() - until_s
        if late_s > 0:
            self._counters.expired_commands += 1
            raise RefusedCommandError(f"it expired {late_s:.1f} s ago")

    def push(self, command: Command) -> None:
        """Queue a command that comes from within."""
        self._put(self._commands, command)

    @property
    def depth(self) -> int:
        """How many commands and requests wait."""
        return self._commands.qsize() + self._requests.qsize()

    async def commands(self) -> AsyncIterator[Command]:
        """Every command, in order, for ever; meant for one consumer."""
        while True:
            yield await self._commands.get()

    async def requests(self) -> AsyncIterator[Inquiry]:
        """Every request, in order, for ever; meant for one consumer."""
        while True:
            yield await self._requests.get()

    def _vet(self, payload: bytes, *, retained: bool) -> None:
        if retained:
            raise RefusedCommandError("it is retained, so it may be old: send it without")
        if len(payload) > self._settings.max_payload_bytes:
            size = f"{len(payload)} bytes, over {self._settings.max_payload_bytes}"
            raise RefusedCommandError(f"it has {size} (mqtt.max_payload_bytes)")

    def _put(self, queue: asyncio.Queue[_T], item: _T) -> None:
        if queue.full():
            queue.get_nowait()
            self._counters.dropped_commands += 1
            self._tell(f"dropped a command: more than {_CAPACITY} wait")
        queue.put_nowait(item)

    def _tell(self, line: str) -> None:
        if self._reports.take():
            _log.warning(line)
            self._report(line)
