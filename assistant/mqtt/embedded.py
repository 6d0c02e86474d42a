"""A broker inside the assistant, for a machine that has none."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

from assistant.errors import UserError
from assistant.settings import MqttSettings, TlsSettings

EMBEDDED = "embedded"
"""The host name that asks for one."""
LOOPBACK = "127.0.0.1"
_DEFAULT_PORT = 1883
_STOP_TIMEOUT_S = 2.0


@asynccontextmanager
async def maybe_embedded(settings: MqttSettings) -> AsyncIterator[MqttSettings]:
    """Give the settings to connect with; if they ask for it, an embedded broker runs meanwhile.

    Raises `UserError` when its port is taken.
    """
    if settings.host != EMBEDDED:
        yield settings
        return
    async with EmbeddedBroker(_DEFAULT_PORT if settings.port is None else settings.port) as broker:
        reach = {"host": LOOPBACK, "port": broker.port, "tls": TlsSettings(), "protocol": "3.1.1"}
        nobody = {"username": None, "password": None, "password_file": None}
        yield settings.model_copy(update=reach | nobody)


class EmbeddedBroker:
    """An MQTT 3.1.1 broker on the loopback interface, open to every program on this machine."""

    def __init__(self, port: int = 0) -> None:
        """`port` 0 takes any free one."""
        self.port = port
        """The port it listens on, once entered."""

    async def __aenter__(self) -> Self:
        """Start listening; raises `UserError` when the port is taken."""
        # The import takes a quarter of a second, which only those who use it should pay.
        from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
        from amqtt.broker import Broker
        from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType

        async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            arrival = StreamReaderAdapter(reader), StreamWriterAdapter(writer)
            await broker.external_connected(*arrival, "default")

        class Discreet(Broker):  # type: ignore[misc]  # its base is not typed
            """Whoever connects is sent what is retained for his own subscriptions alone.

            amqtt sends it for those of everybody: a client that waits for one answer would take
            the first retained message for it.
            """

            async def _publish_retained_messages_for_subscription(
                self, subscription: tuple[str, int], session: Any
            ) -> None:
                subscribed = self.subscriptions.get(subscription[0], ())
                if any(each.client_id == session.client_id for each, _ in subscribed):
                    await super()._publish_retained_messages_for_subscription(subscription, session)

        logging.getLogger("amqtt").setLevel(logging.CRITICAL)
        logging.getLogger("transitions").setLevel(logging.CRITICAL)
        broker = Discreet(
            BrokerConfig(
                listeners={"default": ListenerConfig(type=ListenerType.EXTERNAL)},
                plugins={"amqtt.plugins.authentication.AnonymousAuthPlugin": {}},
            )
        )
        try:
            self._server = await asyncio.start_server(welcome, LOOPBACK, self.port)
        except OSError as error:
            raise UserError(
                f"the embedded broker cannot listen on {LOOPBACK}:{self.port} "
                f"({error.strerror}): set mqtt.port to a free one, or to 0 for any"
            ) from error
        self.port = self._server.sockets[0].getsockname()[1]
        self._broker = broker
        await broker.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop within two seconds, whoever is still connected."""
        self._server.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._broker.shutdown(), _STOP_TIMEOUT_S)
