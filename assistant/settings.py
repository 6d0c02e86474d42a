"""Every setting of the assistant: its unit, default and bounds.

Sources, strongest first: command-line overrides, environment (`ASSISTANT_MQTT__HOST=…`), the TOML
file, the defaults below.
"""

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import platformdirs
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from assistant.errors import UserError

DEFAULT_PATH = Path(platformdirs.user_config_dir("assistant", appauthor=False)) / "assistant.toml"

SiteName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class Section(BaseModel):
    """A group of settings; an unknown name is refused, so a typing error never goes unnoticed."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Source(StrEnum):
    """Where sound comes from."""

    MICROPHONE = "microphone"
    STDIN = "stdin"
    FILE = "file"


class AudioSettings(Section):
    """Sound in."""

    source: Source = Source.MICROPHONE
    """`microphone`, `stdin` (raw 16-bit mono PCM at 16 kHz) or `file`."""
    device: str | int | None = None
    """Microphone: an index, or a part of its name; empty for the system's default."""
    files: tuple[Path, ...] = ()
    """Recordings played, in real time, as the microphone when `source` is `file`."""
    buffer_ms: int = Field(2000, ge=100, le=60_000)
    """Sound kept while the assistant is busy; older sound is dropped and counted."""
    stall_ms: int = Field(1000, ge=200, le=60_000)
    """A microphone that gives nothing for this long is opened again."""


class VadSettings(Section):
    """Which sounds count as speech."""

    kind: Literal["both", "webrtc", "silero"] = "both"
    """`both`: webrtcvad first (cheap), Silero second (sure)."""
    aggressiveness: int = Field(2, ge=0, le=3)
    """webrtcvad's mode: 0 lets most through, 3 the least."""
    threshold: float = Field(0.5, gt=0, lt=1)
    """Silero's probability above which a frame is speech."""


class EndpointSettings(Section):
    """When an utterance begins and ends."""

    preset: Literal["quick", "normal", "relaxed"] = "normal"
    """Silence that ends an utterance: quick 400 ms, normal 700 ms, relaxed 1250 ms."""
    silence_ms: int | None = Field(None, ge=100, le=5000)
    """Silence that ends an utterance, instead of the preset's."""
    pause_ms: int = Field(200, ge=50, le=2000)
    """A pause this long starts the engine on what was heard so far."""
    preroll_ms: int = Field(500, ge=0, le=2000)
    """Sound kept from before the first speech frame."""
    start_ms: int = Field(90, ge=10, le=1000)
    """Speech needed to open an utterance."""
    min_speech_ms: int = Field(200, ge=0, le=2000)
    """An utterance with less speech than this is dropped and counted."""
    max_utterance_ms: int = Field(20_000, ge=1000, le=30_000)
    """An utterance is closed at this length, whatever is heard."""


class EngineSettings(Section):
    """The model and how it decodes."""

    model: Path | None = None
    """A checkpoint folder; empty for the bundled nano."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(2, ge=1, le=64)
    """CPU threads of one forward pass."""
    threshold: float = Field(0.9, gt=0, le=1)
    """Positions surer than this are committed in one pass."""
    max_new_tokens: int = Field(64, ge=8, le=1024)
    """Longest answer, in tokens."""
    partial_ms: int = Field(600, ge=0, le=10_000)
    """How often a partial transcript is made while speech goes on; 0 for never."""
    timeout_s: float = Field(20.0, gt=0, le=600)
    """A turn that takes longer is given up, with an error event."""


class TlsSettings(Section):
    """TLS to the broker."""

    enabled: bool = False
    ca: Path | None = None
    """Certificate authority; empty for the system's."""
    certificate: Path | None = None
    """Client certificate."""
    key: Path | None = None
    """The client certificate's private key."""


class MqttSettings(Section):
    """The broker."""

    host: str = "localhost"
    """`embedded` starts a broker inside the assistant, on the loopback interface."""
    port: int | None = Field(None, ge=0, le=65535)
    """Empty for 1883, or 8883 with TLS; 0 lets the embedded broker choose a free one."""
    username: str | None = None
    password: SecretStr | None = None
    password_file: Path | None = None
    """A file whose first line is the password."""
    client_id: str | None = None
    """Empty for one made once and kept in the state folder."""
    base_topic: SiteName = "assistant"
    tls: TlsSettings = TlsSettings()
    keepalive_s: int = Field(20, ge=5, le=600)
    max_payload_bytes: int = Field(65_536, ge=256, le=10_000_000)
    """A larger command is refused and counted."""
    outbox_count: int = Field(1000, ge=1, le=1_000_000)
    """Replies and events kept while the broker is away; the oldest are dropped and counted."""
    outbox_age_s: float = Field(3600.0, gt=0)
    """Older messages in the outbox are dropped and counted."""

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if self.password is not None and self.password_file is not None:
            raise ValueError("give either password or password_file, not both")
        return self


class PluginSettings(Section):
    """Intent handlers."""

    folder: Path = DEFAULT_PATH.parent / "plugins"
    """Every `*.py` in it is loaded beside the installed plugins."""
    disabled: tuple[str, ...] = ()
    """Names of plugins that are not loaded."""
    timeout_s: float = Field(5.0, gt=0, le=120)
    """A handler that takes longer is cancelled; only its own turn suffers."""
    config: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """One table for each plugin, given to it as its configuration."""


class LogSettings(Section):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"
    """`auto`: console on a terminal, JSON lines elsewhere."""


class Settings(BaseSettings):
    """All of it."""

    model_config = SettingsConfigDict(
        env_prefix="ASSISTANT_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    site: SiteName = "default"
    """The name of this room or machine; part of every topic."""
    state_folder: Path = Path(platformdirs.user_state_dir("assistant", appauthor=False))
    """Where the outbox, the client id and plugins' stores live."""
    audio: AudioSettings = AudioSettings()
    vad: VadSettings = VadSettings()
    endpoint: EndpointSettings = EndpointSettings()
    engine: EngineSettings = EngineSettings()
    mqtt: MqttSettings = MqttSettings()
    plugins: PluginSettings = PluginSettings()
    log: LogSettings = LogSettings()


def load(path: Path | None = None, overrides: dict[str, Any] | None = None) -> Settings:
    """Read the settings: `overrides` over the environment over the TOML file at `path`.

    Without a `path`, `DEFAULT_PATH` is read when it is there. Raises `UserError`, which names the
    setting, for an unknown name, a value out of bounds or a file that is missing or not TOML.
    """
    from_file = _read_toml(path)

    class Layered(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            del dotenv_settings, file_secret_settings
            file_source = InitSettingsSource(settings_cls, init_kwargs=from_file)
            return init_settings, env_settings, file_source

    try:
        return Layered(**(overrides or {}))
    except (ValidationError, SettingsError) as error:
        raise UserError(_explain(error, path)) from error


def _read_toml(path: Path | None) -> dict[str, Any]:
    chosen = path or DEFAULT_PATH
    if path is None and not chosen.exists():
        return {}
    try:
        return tomllib.loads(chosen.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the settings file {chosen}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"the settings file {chosen} is not TOML: {error}") from error


def _explain(error: Exception, path: Path | None) -> str:
    """One line that names every wrong setting and the remedy."""
    if not isinstance(error, ValidationError):
        return f"settings: {error}"
    wrong = []
    for item in error.errors():
        name = ".".join(str(part) for part in item["loc"]) or "settings"
        if item["type"] == "extra_forbidden":
            wrong.append(f"{name}: no such setting (see: assistant config schema)")
        else:
            wrong.append(f"{name}: {item['msg']}, got {item['input']!r}")
    where = f" (settings file: {path or DEFAULT_PATH})"
    return "; ".join(wrong) + where
