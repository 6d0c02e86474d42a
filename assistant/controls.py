"""What can be changed while the assistant runs; a change survives a restart."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog
from pydantic import BaseModel, ValidationError

from assistant.audio.listener import Listener
from assistant.errors import AssistantError, UserError
from assistant.mqtt.bus import Bus
from assistant.mqtt.topics import Knob
from assistant.settings import Settings

MUTE = "mute"
DEFAULT_MODEL = "default"
"""The name of the model that `engine.model` names."""
SETTINGS = {
    Knob.THRESHOLD: "vad.threshold",
    Knob.PRESET: "endpoint.preset",
    Knob.MODEL: "engine.model",
}
"""Which setting each knob turns."""

_log = structlog.get_logger(__name__)

ChangeModel = Callable[[str], Awaitable[None]]
"""Uses the model of this name from now on; raises `AssistantError` for one that cannot be used."""


class Memory:
    """The changes, in a file of the state folder.

    A change counts for as long as the setting it changed stays what it was: whoever then writes
    another value into the settings means it.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "controls.json"
        self._changes: dict[str, dict[str, Any]] = _read(self._path)

    def get(self, name: str, configured: Any) -> Any:
        """The changed value; None when there is none, or when the settings have changed since."""
        change = self._changes.get(name, {})
        return change.get("value") if change.get("instead_of") == configured else None

    def put(self, name: str, value: Any, configured: Any) -> None:
        """Remember a change; a disk that fails costs the memory of it, and one line."""
        self._changes[name] = {"value": value, "instead_of": configured}
        unfinished = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_text(json.dumps(self._changes, indent=1), encoding="utf-8")
            unfinished.replace(self._path)
        except OSError as error:
            _log.warning(
                "a change will not survive a restart", path=str(self._path), why=str(error)
            )


class Controls:
    """Turns the knobs: checks a value, applies it, says what is applied, and remembers it."""

    def __init__(
        self,
        bus: Bus,
        listener: Listener,
        settings: Settings,
        memory: Memory,
        *,
        change_model: ChangeModel | None = None,
        model: str = DEFAULT_MODEL,
    ) -> None:
        """`model` is the name of the one that is loaded; without `change_model` there is none."""
        self._bus, self._listener, self._settings = bus, listener, settings
        self._memory, self._change_model, self._model = memory, change_model, model
        self._loading = asyncio.Lock()

    async def restore(self) -> None:
        """Apply what was changed before the restart, and say what holds now."""
        if self._memory.get(MUTE, None) is True:
            self.mute(muted=True)
        for knob in (Knob.THRESHOLD, Knob.PRESET):
            name = SETTINGS[knob]
            configured = _configured(self._settings, name)
            try:
                value = self._memory.get(name, configured)
                await self._apply(knob, configured if value is None else value)
            except AssistantError as error:
                _log.warning(f"not restored: {error}")
                self._bus.knob(knob, str(configured))
        if self._change_model is not None:
            self._bus.knob(Knob.MODEL, self._model)

    def mute(self, *, muted: bool) -> None:
        """Stop hearing, or hear again."""
        self._listener.mute(muted)
        self._bus.mute(muted=muted)
        self._memory.put(MUTE, muted, None)

    async def turn(self, knob: Knob, value: Any) -> Any:
        """Set a knob; gives the applied value. Raises `UserError` for a value it has not."""
        name = SETTINGS[knob]
        applied = await self._apply(knob, value)
        self._memory.put(name, applied, _configured(self._settings, name))
        return applied

    async def change(self, name: str, value: Any) -> Any:
        """Change a setting by its name; raises `UserError` where that needs a restart."""
        if name == MUTE:
            if not isinstance(value, bool):
                raise UserError("mute is true or false")
            self.mute(muted=value)
            return value
        for knob, setting in SETTINGS.items():
            if name == setting:
                return await self.turn(knob, value)
        live = ", ".join([MUTE, *SETTINGS.values()])
        raise UserError(f"{name[:80]} is not changed while the assistant runs; these are: {live}")

    async def _apply(self, knob: Knob, value: Any) -> Any:
        match knob:
            case Knob.THRESHOLD:
                vad = _checked(self._settings.vad, "vad.threshold", value)
                if vad.kind == "webrtc":
                    raise UserError("vad.kind is webrtc, which has no threshold")
                self._listener.tune(threshold=vad.threshold)
                value = vad.threshold
            case Knob.PRESET:
                endpoint = _checked(self._settings.endpoint, "endpoint.preset", value)
                self._listener.tune(endpoint=endpoint)
                value = endpoint.preset
            case Knob.MODEL:
                await self._use(str(value))
        self._bus.knob(knob, str(value))
        return value

    async def _use(self, name: str) -> None:
        if self._change_model is None:
            raise UserError("a satellite has no model: the engines have")
        if name not in {DEFAULT_MODEL, *self._settings.engine.models}:
            known = ", ".join([DEFAULT_MODEL, *self._settings.engine.models])
            raise UserError(f"no model is named {name[:80]!r} in engine.models; there are: {known}")
        async with self._loading:
            if name != self._model:
                await self._change_model(name)
                self._model = name


def with_model(settings: Settings, name: str) -> Settings:
    """The settings with the model of this name in `engine.models`; any other is the default."""
    folder = settings.engine.models.get(name)
    if folder is None:
        return settings
    engine = settings.engine.model_copy(update={"model": folder})
    return settings.model_copy(update={"engine": engine})


def chosen_model(settings: Settings, memory: Memory) -> str:
    """The name of the model that was chosen last, if it is still there."""
    name = memory.get(SETTINGS[Knob.MODEL], _configured(settings, SETTINGS[Knob.MODEL]))
    is_there = isinstance(name, str) and name in settings.engine.models
    return str(name) if is_there else DEFAULT_MODEL


def _configured(settings: Settings, name: str) -> Any:
    section, _, field = name.partition(".")
    value = getattr(getattr(settings, section), field)
    return str(value) if isinstance(value, Path) else value


def _checked(section: Any, name: str, value: Any) -> Any:
    """The section with one value replaced; raises `UserError` for one out of bounds."""
    field = name.partition(".")[2]
    model: type[BaseModel] = type(section)
    try:
        return model.model_validate({**section.model_dump(), field: value})
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        shown = f"{value:g}" if isinstance(value, float) else str(value)[:60]
        raise UserError(f"{name} = {shown!r}: {reason}") from None


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        _log.warning("earlier changes are forgotten", path=str(path), why=str(error))
        return {}
    pairs = found.items() if isinstance(found, dict) else ()
    return {name: change for name, change in pairs if isinstance(change, dict)}
