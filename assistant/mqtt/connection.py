"""One connection to the broker: its session, its version of MQTT, and why it failed."""

import asyncio
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import aiomqtt
import paho.mqtt.client as paho
import structlog
from aiomqtt import ProtocolVersion
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.exception import MQTTException
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from assistant.errors import AssistantError, UserError
from assistant.mqtt.credentials import Credentials, address
from assistant.mqtt.envelope import new_properties
from assistant.mqtt.message import Message
from assistant.settings import MqttSettings

_REFUSALS = frozenset({4, 5, 134, 135})
"""CONNACK codes of MQTT 3.1.1 and 5 for a bad password and for not being allowed in."""
_UNSUPPORTED_VERSION = frozenset({1, 132})
"""CONNACK codes of a broker that does not speak this version of MQTT."""
_TAKEN_OVER = 142
_REFUSED_SUBSCRIPTION = range(128, 256)
"""SUBACK codes of a topic one may not listen to."""
CALL_TIMEOUT_S = 5.0
"""How long the broker may take to acknowledge anything."""
_TCP_TIMEOUT_S = 2.0
_MAX_IN_FLIGHT = 64
_MAX_QUEUED_IN = 64

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no connection."""

    reason: str
    """One line that names the broker and the remedy."""
    needs_a_person: bool = False
    """Trying again will not help before somebody changes something."""


@dataclass(frozen=True, slots=True)
class Session:
    """How the broker shall treat a client that comes, goes and stays away."""

    identifier: str
    will_topic: str | None = None
    """Where `offline` is left when the client dies."""
    will_delay_s: int = 0
    """With MQTT 5: how long a connection may be lost before the client counts as dead."""
    expiry_s: int = 0
    """With MQTT 5: how long subscriptions and messages are kept for a client that is away."""
    receive_maximum: int = _MAX_QUEUED_IN
    """With MQTT 5: messages that the broker may send before one is acknowledged."""
    manual_ack: bool = False
    """A message counts as received when `Connection.acknowledge` says so, and not before."""


class Dialect:
    """Which version of MQTT to speak next: what `mqtt.protocol` says, or `auto` has learned."""

    def __init__(self, wanted: str) -> None:
        self._certain = wanted != "auto"
        self.version = ProtocolVersion.V311 if wanted == "3.1.1" else ProtocolVersion.V5

    def succeeded(self) -> None:
        """Stay with this one."""
        self._certain = True

    def failed(self, error: BaseException) -> bool:
        """Take the other one, if the version may be why there is no connection.

        A broker that does not know a version says so, or hangs up without a word. Returns whether
        it said so: then the other version can be tried at once.
        """
        code = code_value(error.rc) if isinstance(error, MqttConnectError) else None
        refused = not self._certain and code in _UNSUPPORTED_VERSION
        silent = not self._certain and code is None and "timed out" in str(error)
        if refused or silent:
            is_newest = self.version is ProtocolVersion.V5
            self.version = ProtocolVersion.V311 if is_newest else ProtocolVersion.V5
        return refused


class UnsendableError(AssistantError):
    """A message that MQTT has no way to say, and never will."""


class Connection(aiomqtt.Client):
    """A client that counts what it loses, and does not wait to write to a dead socket.

    aiomqtt's own asks the loop to, which then prints a traceback, or, when the number of the
    socket has a new owner, watches a stranger for ever.
    """

    lost = 0
    """Messages received that nobody fetched in time."""
    protocol = ProtocolVersion.V311

    def __init__(self, *args: Any, **options: Any) -> None:
        """Take what aiomqtt's client takes."""
        super().__init__(*args, **options)
        self._takers: dict[int, Callable[[str], None]] = {}
        """Who waits for the acknowledgement of a message; bounded by those in flight."""

    async def send(self, message: Message) -> str:
        """Publish, and return once the broker has it; at once where that is not told.

        Gives the reason why the broker threw it away, empty where it did not. Raises what `post`
        does, and `MqttError` when the broker says nothing in time.
        """
        said: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def taken(refusal: str) -> None:
            if not said.done():
                said.set_result(refusal)

        self.post(message, taken)
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                return await said
        except TimeoutError:
            raise aiomqtt.MqttError("Operation timed out") from None

    def post(self, message: Message, taken: Callable[[str], None]) -> None:
        """Publish, and call `taken` once the broker has it; at once where that is not told.

        It is given the reason why the broker threw the message away, empty where it did not.

        Raises `MqttError` when there is no way to send it, and `UnsendableError` when there
        never will be.
        """
        is_newest = self.protocol is ProtocolVersion.V5
        try:
            properties = message.envelope.properties() if is_newest else None
            sent = self._client.publish(
                message.topic, message.payload, message.qos, message.retain, properties
            )
        except (ValueError, struct.error, MQTTException) as error:
            raise UnsendableError(f"cannot publish on {message.topic[:80]!r}: {error}") from error
        if sent.rc != paho.MQTT_ERR_SUCCESS:
            raise aiomqtt.MqttCodeError(sent.rc, "Could not publish message")
        if sent.is_published():
            taken("")
        else:
            self._takers[sent.mid] = taken

    async def listen(self, topics: Sequence[str]) -> list[str]:
        """Subscribe to all of them, at least once; gives those that the broker forbids."""
        codes = await self.subscribe([(topic, 1) for topic in topics])
        told = zip(topics, codes, strict=True)
        return [topic for topic, code in told if code_value(code) in _REFUSED_SUBSCRIPTION]

    def acknowledge(self, message: aiomqtt.Message) -> None:
        """Let the broker forget a message of a session with `manual_ack`."""
        self._client.ack(message.mid, message.qos)

    def _on_message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        if self._queue.full():
            self.lost += 1
        super()._on_message(client, userdata, message)

    def _on_publish(
        self, client: paho.Client, userdata: Any, mid: int, reason_code: Any, properties: Any
    ) -> None:
        refusal = f"{reason_code}: check its access list" if reason_code.is_failure else ""
        if refusal:
            _log.error(f"the MQTT broker took no message: {refusal}")
        if taken := self._takers.pop(mid, None):
            taken(refusal)
        else:
            super()._on_publish(client, userdata, mid, reason_code, properties)

    def _on_socket_register_write(self, client: paho.Client, userdata: Any, sock: Any) -> None:
        del userdata

        def watch() -> None:
            if sock.fileno() >= 0:
                self._loop.add_writer(sock, client.loop_write)

        self._loop.call_soon_threadsafe(watch)


def open_client(
    settings: MqttSettings,
    credentials: Credentials,
    session: Session,
    version: ProtocolVersion | None = None,
) -> Connection:
    """Make a client, not connected yet; without a `version`, one that every broker knows."""
    host, port = address(settings)
    only = ProtocolVersion.V5 if settings.protocol == "5" else ProtocolVersion.V311
    version = version or only
    is_newest = version is ProtocolVersion.V5
    client = Connection(
        host,
        port,
        username=settings.username,
        password=credentials.password,
        tls_context=credentials.tls,
        identifier=session.identifier,
        protocol=version,
        will=_will(session, is_newest=is_newest),
        clean_session=None if is_newest else True,
        clean_start=not session.expiry_s if is_newest else paho.MQTT_CLEAN_START_FIRST_ONLY,
        properties=_session_properties(session) if is_newest else None,
        keepalive=settings.keepalive_s,
        timeout=CALL_TIMEOUT_S,
        max_queued_incoming_messages=_MAX_QUEUED_IN,
    )
    client.protocol = version
    client.pending_calls_threshold = _MAX_IN_FLIGHT
    # aiomqtt connects in a thread that cannot be cancelled: a stop would wait for it.
    client._client.connect_timeout = _TCP_TIMEOUT_S  # noqa: SLF001
    client._client.manual_ack_set(session.manual_ack)  # noqa: SLF001
    return client


def _will(session: Session, *, is_newest: bool) -> aiomqtt.Will | None:
    if session.will_topic is None:
        return None
    told = None
    if is_newest and session.will_delay_s:
        told = new_properties(PacketTypes.WILLMESSAGE)
        told.WillDelayInterval = session.will_delay_s
    return aiomqtt.Will(session.will_topic, "offline", qos=1, retain=True, properties=told)


def _session_properties(session: Session) -> Any:
    told = new_properties(PacketTypes.CONNECT)
    told.SessionExpiryInterval = session.expiry_s
    told.ReceiveMaximum = session.receive_maximum
    return told


def device_id(state_folder: Path) -> str:
    """Name this machine among the broker's clients: made once and kept in `state_folder`.

    Raises `UserError` when the folder cannot be used.
    """
    path = state_folder / "device-id"
    try:
        state_folder.mkdir(parents=True, exist_ok=True)
        if path.exists() and (known := path.read_text(encoding="ascii").strip()).isalnum():
            return known
        made = token_hex(6)
        unfinished = path.with_suffix(".new")
        unfinished.write_text(f"{made}\n", encoding="ascii")
        unfinished.replace(path)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"cannot keep the client id in {path}: {error}; set state_folder to one you own"
        ) from error
    return made


def code_value(code: object) -> object:
    """Give the number of a reason code, however aiomqtt wraps it."""
    return code.value if isinstance(code, ReasonCode) else code


def explain(error: BaseException, settings: MqttSettings) -> Failure:
    """Why `error` kept us from the broker, and what to do about it."""
    if isinstance(error, UserError):
        return Failure(str(error), needs_a_person=True)
    host, port = address(settings)
    broker = f"the MQTT broker {host}:{port}"
    if isinstance(error, MqttConnectError):
        return _explain_refusal(error, broker)
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        remedy = "set mqtt.tls.ca to the authority that signed it, and mqtt.host to its name"
        return Failure(f"{broker} is not trusted ({error}): {remedy}", needs_a_person=True)
    broken = error.__cause__ or error
    if isinstance(broken, aiomqtt.MqttCodeError):
        usurped = code_value(broken.rc) == _TAKEN_OVER
        why = "another client has its name, leave mqtt.client_id empty" if usurped else ""
        return Failure(f"{broker} closed the connection: {why or 'trying again'}")
    return Failure(f"cannot reach {broker} ({error}): check mqtt.host, mqtt.port and mqtt.tls")


def _explain_refusal(error: MqttConnectError, broker: str) -> Failure:
    if code_value(error.rc) in _REFUSALS:
        remedy = "correct mqtt.username and mqtt.password (or mqtt.password_file)"
        return Failure(f"{broker} refused the password: {remedy}", needs_a_person=True)
    if code_value(error.rc) in _UNSUPPORTED_VERSION:
        remedy = "satellites and engines need a newer one, others mqtt.protocol = 3.1.1"
        return Failure(f"{broker} does not speak MQTT 5: {remedy}", needs_a_person=True)
    return Failure(f"{broker} refused the connection: {error}")
