"""Every setting of the assistant: its unit, default and bounds.

Sources, strongest first: command-line overrides, environment (`ASSISTANT_MQTT__HOST=…`), the TOML
file, the defaults below. An empty value is the default, for TOML and the environment have no null.
"""

import os
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self

import platformdirs
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

from assistant.errors import UserError
from assistant.settings_layers import Layers, explain, explain_environment
from assistant.settings_types import (
    Device,
    Section,
    SiteName,
    TopicName,
    UserPath,
    without_empty,
)

DEFAULT_PATH = Path(platformdirs.user_config_dir("assistant", appauthor=False)) / "assistant.toml"
STATE_FOLDER = Path(platformdirs.user_state_dir("assistant", appauthor=False))


class Source(StrEnum):
    """Where sound comes from."""

    MICROPHONE = "microphone"
    STDIN = "stdin"
    FILE = "file"
    NONE = "none"


class AudioSettings(Section):
    """Sound in."""

    source: Source = Source.MICROPHONE
    """`microphone`, `stdin` (raw 16-bit mono PCM at 16 kHz), `file`, or `none` for an engine."""
    device: Device | None = None
    """Microphone: an index, or a part of its name; empty for the system's default."""
    files: tuple[UserPath, ...] = ()
    """Recordings played, in real time, as the microphone when `source` is `file`."""
    buffer_ms: int = Field(default=2000, ge=100, le=60_000)
    """Sound kept while the assistant is busy; older sound is dropped and counted."""
    stall_ms: int = Field(default=1000, ge=200, le=60_000)
    """A microphone that gives nothing for so long is opened again; its first sound may take 3 s."""


class VadSettings(Section):
    """Which sounds count as speech."""

    kind: Literal["both", "webrtc", "silero"] = "both"
    """`both`: webrtcvad first (cheap), Silero second (sure)."""
    aggressiveness: int = Field(default=2, ge=0, le=3)
    """webrtcvad's mode: 0 lets most through, 3 the least."""
    threshold: float = Field(default=0.5, gt=0, lt=1)
    """Silero's probability above which a frame is speech."""


class WakeSettings(Section):
    """The word that wakes the assistant."""

    word: Literal["okay_nabu", "hey_jarvis", "hey_mycroft", "alexa"] | None = None
    """Empty: every voice is heard. Needs the extra `wake`."""
    threshold: float | None = Field(default=None, gt=0, lt=1)
    """Higher wakes more rarely; empty for the word's own."""


class EndpointSettings(Section):
    """When an utterance begins and ends."""

    preset: Literal["quick", "normal", "relaxed"] = "normal"
    """Silence that ends an utterance: quick 400 ms, normal 700 ms, relaxed 1250 ms."""
    silence_ms: int | None = Field(default=None, ge=100, le=5000)
    """Silence that ends an utterance, instead of the preset's."""
    pause_ms: int = Field(default=200, ge=50, le=2000)
    """A pause this long starts the engine on what was heard so far."""
    preroll_ms: int = Field(default=500, ge=0, le=2000)
    """Sound kept from before the first speech frame."""
    start_ms: int = Field(default=90, ge=10, le=1000)
    """Speech needed to open an utterance."""
    min_speech_ms: int = Field(default=200, ge=0, le=2000)
    """An utterance with less speech than this is dropped and counted."""
    max_utterance_ms: int = Field(default=20_000, ge=1000, le=30_000)
    """An utterance is closed at this length, whatever is heard."""


class EngineSettings(Section):
    """The model and how it decodes."""

    model: UserPath | None = None
    """A checkpoint folder; empty for the bundled nano."""
    models: dict[SiteName, UserPath] = Field(default_factory=dict)
    """Names of more checkpoint folders, to be chosen while the assistant runs."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """What computes; `auto` takes a GPU when there is one and the model needs it."""
    quantise: Literal["none", "int8", "int4"] = "none"
    """Bits of the language model's weights, where they are many; `int4` needs a GPU."""
    threads: int = Field(default=2, ge=1, le=64)
    """CPU threads of one forward pass."""
    threshold: float = Field(default=0.9, gt=0, le=1)
    """Positions surer than this are committed in one pass."""
    max_new_tokens: int = Field(default=64, ge=8, le=1024)
    """Longest answer, in tokens."""
    partial_ms: int = Field(default=600, ge=0, le=10_000)
    """How often a partial transcript is made while speech goes on; 0 for never."""
    timeout_s: float = Field(default=20.0, gt=0, le=600)
    """A turn that takes longer is given up, with an error event."""


class TlsSettings(Section):
    """TLS to the broker."""

    enabled: bool = False
    """Encrypt the connection and check the broker's certificate."""
    ca: UserPath | None = None
    """Certificate authority; empty for the system's."""
    certificate: UserPath | None = None
    """Client certificate."""
    key: UserPath | None = None
    """The client certificate's private key."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key are given together or not at all")
        if not self.enabled and (self.ca or self.certificate):
            raise ValueError("certificates are given, but enabled is not true")
        return self


class MqttSettings(Section):
    """The broker."""

    host: str = "localhost"
    """`embedded` starts a broker inside the assistant, on the loopback interface."""
    port: int | None = Field(default=None, ge=0, le=65535)
    """Empty for 1883, or 8883 with TLS; 0 lets the embedded broker choose a free one."""
    username: str | None = None
    """Empty for a broker that asks for none."""
    password: SecretStr | None = None
    """Better kept in `password_file`, which other users cannot read."""
    password_file: UserPath | None = None
    """A file whose first line is the password."""
    client_id: str | None = None
    """Empty for one made once and kept in the state folder."""
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    """Of MQTT; `auto` tries 5 and takes 3.1.1 from a broker that knows no other."""
    base_topic: SiteName = "assistant"
    """The first word of every topic."""
    tls: TlsSettings = TlsSettings()
    keepalive_s: int = Field(default=20, ge=5, le=600)
    """A connection that is silent for longer is taken for dead."""
    will_delay_s: int = Field(default=5, ge=0, le=3600)
    """With MQTT 5: `offline` is said only when the connection was lost for so long."""
    session_expiry_s: int = Field(default=30, ge=0, le=86_400)
    """With MQTT 5: the broker keeps commands for an assistant that is away for no longer."""
    command_expiry_s: int = Field(default=30, ge=1, le=86_400)
    """With MQTT 5: what plugins publish and nobody has taken by then is thrown away."""
    max_payload_bytes: int = Field(default=65_536, ge=256, le=10_000_000)
    """A larger command is refused and counted."""
    commands_per_s: float = Field(default=20.0, gt=0, le=10_000)
    """On one topic; after a burst of five seconds' worth, more are dropped and counted."""
    outbox_count: int = Field(default=1000, ge=1, le=1_000_000)
    """Replies and events kept while the broker is away; the oldest are dropped and counted."""
    outbox_age_s: float = Field(default=3600.0, gt=0)
    """Older messages in the outbox are dropped and counted."""
    outbox_kib: int = Field(default=16_384, ge=64, le=1_048_576)
    """How large the messages in the outbox may be together; the oldest are dropped and counted."""
    hermes: bool = False
    """Speak Hermes, too, as Rhasspy did: sessions, intents and speech below `hermes/`."""
    discovery: bool = True
    """Tell Home Assistant, so that it makes a device of this assistant."""
    discovery_prefix: TopicName = "homeassistant"
    """The topic below which Home Assistant looks for devices."""

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if self.password is not None and self.password_file is not None:
            raise ValueError("give either password or password_file, not both")
        return self


class SatelliteSettings(Section):
    """Several rooms that share engines."""

    serve: bool = False
    """Answer what satellites hear, taking turns with other engines; needs MQTT 5."""
    group: SiteName = "home"
    """Satellites within each other's earshot are of one group."""
    arbitration_ms: int = Field(default=150, ge=0, le=1000)
    """Of a group that hears a voice within this time only the loudest answers; 0 for all."""
    patience_s: float = Field(default=20.0, ge=1, le=600)
    """A satellite gives a turn up that no engine has answered by then."""


class PluginSettings(Section):
    """Intent handlers."""

    folder: UserPath = DEFAULT_PATH.parent / "plugins"
    """Every `*.py` and `*.toml` in it is loaded beside the installed plugins."""
    installed: bool = True
    """Load the plugins of installed packages, the bundled ones among them."""
    disabled: tuple[str, ...] = ()
    """Names of plugins that are not loaded."""
    timeout_s: float = Field(default=5.0, gt=0, le=120)
    """A handler that takes longer is cancelled; only its own turn suffers."""
    config: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """One table for each plugin, given to it as its configuration."""
    topics: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """MQTT filters that a plugin may publish on, instead of those that it asks for."""


class LogSettings(Section):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important lines that are still written."""
    format: Literal["auto", "console", "json"] = "auto"
    """`auto`: console on a terminal, JSON lines elsewhere."""


class Settings(BaseSettings):
    """All of it."""

    model_config = SettingsConfigDict(
        env_prefix="ASSISTANT_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
    )

    _empty_is_default = model_validator(mode="before")(without_empty)

    site: SiteName = "default"
    """The name of this room or machine; part of every topic."""
    state_folder: UserPath = STATE_FOLDER
    """Where the outbox, the client id and plugins' stores live."""
    audio: AudioSettings = AudioSettings()
    vad: VadSettings = VadSettings()
    wake: WakeSettings = WakeSettings()
    endpoint: EndpointSettings = EndpointSettings()
    engine: EngineSettings = EngineSettings()
    mqtt: MqttSettings = MqttSettings()
    satellites: SatelliteSettings = SatelliteSettings()
    plugins: PluginSettings = PluginSettings()
    log: LogSettings = LogSettings()


def load(path: Path | None = None, overrides: dict[str, Any] | None = None) -> Settings:
    """Read the settings: `overrides` over the environment over the TOML file at `path`.

    Without a `path`, `DEFAULT_PATH` is read when it is there. Raises `UserError`, which names the
    setting, for an unknown name, a value out of bounds or a file that is missing or not TOML.
    """
    layers = read_layers(path, overrides)
    try:
        return Settings(**layers.merged())
    except ValidationError as error:
        raise UserError(explain(error, Settings, layers)) from None  # the cause holds the values


def read_layers(path: Path | None = None, overrides: dict[str, Any] | None = None) -> Layers:
    """Read what each source says, not yet checked. Raises `UserError` as `load` does."""
    try:
        environment = EnvSettingsSource(Settings)()
    except SettingsError as error:
        raise UserError(explain_environment(error, os.environ)) from None
    return Layers(overrides or {}, environment, _read_toml(path), path or DEFAULT_PATH)


def _read_toml(path: Path | None) -> dict[str, Any]:
    chosen = path or DEFAULT_PATH
    if path is None and not chosen.exists():
        return {}
    try:
        return tomllib.loads(chosen.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the settings file {chosen}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise UserError(f"the settings file {chosen} is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"the settings file {chosen} is not TOML: {error}") from None
