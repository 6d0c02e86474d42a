"""Trying again: ever more rarely, never for ever apart, and every new reason in one line."""

import asyncio
from collections.abc import Awaitable, Callable

import aiomqtt
import structlog
from aiomqtt import ProtocolVersion

from assistant.clock import Clock
from assistant.errors import UserError
from assistant.mqtt.connection import Connection, Failure, Session, open_client
from assistant.mqtt.credentials import read_credentials
from assistant.settings import MqttSettings

STABLE_S = 5.0
"""A connection that lasts this long ends a series of failures: two clients with one identity
would otherwise throw each other out without a pause."""

_log = structlog.get_logger(__name__)


class Retries:
    """The attempts of one client to be connected."""

    def __init__(self, clock: Clock, chance: Callable[[], float], name: str = "") -> None:
        """`chance` gives numbers between 0 and 1; `name` begins the lines of the log, if given."""
        self._clock, self._chance = clock, chance
        self._whose = f"{name}: " if name else ""
        self._failures = 0
        self._told: str | None = None

    async def attempt(self, connect: Callable[[], Awaitable[Failure]]) -> None:
        """Connect, stay so until something goes wrong, tell what did, and wait a while."""
        began = self._clock.now()
        failure = await connect()
        self._tell(failure)
        if self._clock.now() - began >= STABLE_S:
            self._failures = 0
        person, chance = failure.needs_a_person, self._chance()
        delay_s = backoff_s(self._failures, needs_a_person=person, chance=chance)
        self._failures += 1
        await self._clock.sleep(delay_s)

    def succeeded(self) -> None:
        """Be connected: the next failure is news, whatever it is."""
        self._told = None

    def _tell(self, failure: Failure) -> None:
        """One line for each new reason; the repetitions are for those who debug."""
        line = self._whose + failure.reason
        if failure.reason == self._told:
            _log.debug(line)
        elif failure.needs_a_person:
            _log.error(line)
        else:
            _log.warning(line)
        self._told = failure.reason


async def connect(
    settings: MqttSettings,
    session: Session,
    version: ProtocolVersion,
    serve: Callable[[Connection], Awaitable[None]],
) -> BaseException:
    """Connect, let `serve` do what the connection is for, and give the reason of its end.

    That is a `UserError` or an `MqttError`; whatever else goes wrong is raised.
    """
    reason: BaseException = aiomqtt.MqttError("the connection ended")
    try:
        credentials = await asyncio.to_thread(read_credentials, settings)
        client = open_client(settings, credentials, session, version)
        async with client:
            await serve(client)
    except* (aiomqtt.MqttError, UserError) as group:
        reason = group
        while isinstance(reason, BaseExceptionGroup):
            reason = reason.exceptions[0]
    return reason


def backoff_s(failures: int, *, needs_a_person: bool = False, chance: float) -> float:
    """Seconds to wait after `failures` failures before this one; `chance` is between 0 and 1.

    Spread over the whole span, so that many clients do not return at once; short enough that a
    broker is found again within five seconds, even when the attempt before takes two to fail,
    unless only a person can help.
    """
    if needs_a_person:
        return 15.0 * (1 + chance)
    return min(3.0, 0.25 * 2.0 ** min(failures, 8)) * chance
