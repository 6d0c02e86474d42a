"""Messages that were sent and that the broker has not taken yet."""

import asyncio
from collections import deque
from dataclasses import dataclass

import aiomqtt

from assistant.mqtt.connection import CALL_TIMEOUT_S, Connection, UnsendableError
from assistant.mqtt.message import Message

IN_FLIGHT = 16
"""Messages sent and not yet acknowledged; paho itself sends at most 20."""


@dataclass(slots=True)
class Flight:
    """A message on its way."""

    message: Message
    until_s: float
    """When it is given up, in seconds on the clock of the event loop."""
    taken: bool = False
    """The broker has said something."""
    refusal: str = ""
    """Why the broker threw it away; empty where it did not."""


class Window:
    """At most `IN_FLIGHT` messages, oldest first.

    No message has a task of its own: a full outbox is a matter of thousands in a second.
    """

    def __init__(self, client: Connection, wake: asyncio.Event) -> None:
        """`wake` is set whenever the broker has taken something."""
        self._client, self._wake = client, wake
        self._loop = asyncio.get_running_loop()
        self._flights: deque[Flight] = deque()

    @property
    def room(self) -> int:
        """How many more may be sent now."""
        return IN_FLIGHT - len(self._flights)

    def send(self, message: Message) -> None:
        """Send without waiting; raises what `Connection.post` does.

        A message that can never be sent is not among those in flight.
        """
        flight = Flight(message, self._loop.time() + CALL_TIMEOUT_S)
        self._flights.append(flight)

        def taken(refusal: str) -> None:
            flight.taken, flight.refusal = True, refusal
            self._wake.set()

        try:
            self._client.post(message, taken)
        except UnsendableError:
            self._flights.pop()
            raise

    def taken(self) -> list[Flight]:
        """Give the messages that the broker has taken, and every older one, too."""
        found = []
        while self._flights and self._flights[0].taken:
            found.append(self._flights.popleft())
        return found

    def ahead(self) -> list[Flight]:
        """Give those that it has taken, but not every older one: no more will come."""
        ahead = [flight for flight in self._flights if flight.taken]
        self._flights = deque(flight for flight in self._flights if not flight.taken)
        return ahead

    def left(self) -> list[Message]:
        """Give up the messages of which the broker has said nothing."""
        left = [flight.message for flight in self._flights if not flight.taken]
        self._flights.clear()
        return left

    async def wait(self) -> None:
        """Wait to be woken; raises `MqttError` when the oldest message is not taken in time."""
        if not self._flights:
            await self._wake.wait()
            return
        try:
            async with asyncio.timeout_at(self._flights[0].until_s):
                await self._wake.wait()
        except TimeoutError:
            raise aiomqtt.MqttError("Operation timed out") from None
