"""How to reach the broker: address, password, certificates, identity, and why it failed."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import aiomqtt
import paho.mqtt.client as paho
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.reasoncodes import ReasonCode

from assistant.errors import UserError
from assistant.settings import MqttSettings, TlsSettings

_REFUSALS = frozenset({4, 5, 134, 135})
"""CONNACK codes of MQTT 3.1.1 and 5 for a bad password and for not being allowed in."""
REFUSED_SUBSCRIPTION = range(128, 256)
"""SUBACK codes of a topic one may not listen to."""
_CALL_TIMEOUT_S = 5.0
_TCP_TIMEOUT_S = 2.0
_MAX_IN_FLIGHT = 64
_MAX_QUEUED_IN = 64


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no connection."""

    reason: str
    """One line that names the broker and the remedy."""
    needs_a_person: bool = False
    """Trying again will not help before somebody changes something."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the settings' files hold."""

    password: str | None
    tls: ssl.SSLContext | None


class _Client(aiomqtt.Client):
    """A client that does not wait to write to a socket that has died meanwhile.

    aiomqtt's own asks the loop to, which then prints a traceback, or, when the number of the
    socket has a new owner, watches a stranger for ever.
    """

    def _on_socket_register_write(self, client: paho.Client, userdata: Any, sock: Any) -> None:
        del userdata

        def watch() -> None:
            if sock.fileno() >= 0:
                self._loop.add_writer(sock, client.loop_write)

        self._loop.call_soon_threadsafe(watch)


def address(settings: MqttSettings) -> tuple[str, int]:
    """Host and port, with the port's default.

    Raises `UserError` for a host that cannot be one.
    """
    try:
        resolvable = settings.host.encode("idna")
    except UnicodeError as error:
        raise UserError(f"mqtt.host: {settings.host!r} is no host name: {error}") from error
    if not resolvable:
        raise UserError("mqtt.host is empty: name the broker, or say embedded")
    return settings.host, settings.port or (8883 if settings.tls.enabled else 1883)


def read_credentials(settings: MqttSettings) -> Credentials:
    """Read the password and certificates.

    Raises `UserError`, which names the setting, for a file that cannot be read and for settings
    that contradict each other. Reads files: call it in a thread where that matters.
    """
    address(settings)
    password = _password(settings)
    if password is not None and settings.username is None:
        raise UserError("mqtt.password is set but mqtt.username is not: a broker needs both")
    return Credentials(password, _tls(settings.tls))


def open_client(
    settings: MqttSettings,
    credentials: Credentials,
    identifier: str,
    will_topic: str | None = None,
) -> aiomqtt.Client:
    """Make a client, not connected yet, that leaves `offline` on `will_topic` when it dies."""
    host, port = address(settings)
    client = _Client(
        host,
        port,
        username=settings.username,
        password=credentials.password,
        tls_context=credentials.tls,
        identifier=identifier,
        will=aiomqtt.Will(will_topic, "offline", qos=1, retain=True) if will_topic else None,
        clean_session=True,
        keepalive=settings.keepalive_s,
        timeout=_CALL_TIMEOUT_S,
        max_queued_incoming_messages=_MAX_QUEUED_IN,
    )
    client.pending_calls_threshold = _MAX_IN_FLIGHT
    # aiomqtt connects in a thread that cannot be cancelled: a stop would wait for it.
    client._client.connect_timeout = _TCP_TIMEOUT_S  # noqa: SLF001
    return client


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
        if code_value(error.rc) in _REFUSALS:
            remedy = "correct mqtt.username and mqtt.password (or mqtt.password_file)"
            return Failure(f"{broker} refused the password: {remedy}", needs_a_person=True)
        return Failure(f"{broker} refused the connection: {error}")
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        remedy = "set mqtt.tls.ca to the authority that signed it, and mqtt.host to its name"
        return Failure(f"{broker} is not trusted ({error}): {remedy}", needs_a_person=True)
    if isinstance(error.__cause__ or error, aiomqtt.MqttCodeError):
        return Failure(f"{broker} closed the connection: trying again")
    return Failure(f"cannot reach {broker} ({error}): check mqtt.host, mqtt.port and mqtt.tls")


def _password(settings: MqttSettings) -> str | None:
    if settings.password is not None:
        return settings.password.get_secret_value()
    if settings.password_file is None:
        return None
    try:
        lines = settings.password_file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"mqtt.password_file cannot be read: {error}") from error
    if not lines or not lines[0]:
        raise UserError(f"mqtt.password_file: the first line of {settings.password_file} is empty")
    return lines[0]


def _tls(settings: TlsSettings) -> ssl.SSLContext | None:
    if not settings.enabled:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca)
    except OSError as error:  # an SSLError is one
        raise UserError(f"mqtt.tls.ca: cannot use {settings.ca}: {error}") from error
    if settings.certificate is None:
        return context
    try:
        # An encrypted key would otherwise ask for its password on the terminal, for ever.
        context.load_cert_chain(settings.certificate, settings.key, password="")
    except OSError as error:
        raise UserError(
            f"mqtt.tls.certificate, mqtt.tls.key: cannot use {settings.certificate} "
            f"with {settings.key}: {error}"
        ) from error
    return context
