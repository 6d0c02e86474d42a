"""Where the broker is and what it has to be shown: address, password, certificates."""

import ssl
from dataclasses import dataclass

from assistant.errors import UserError
from assistant.settings import MqttSettings, TlsSettings


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the settings' files hold."""

    password: str | None
    tls: ssl.SSLContext | None


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
