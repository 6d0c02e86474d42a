"""Answers the requests that come over MQTT."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version

import structlog

from assistant.controls import Controls
from assistant.dialogue import Dialogue
from assistant.errors import AssistantError
from assistant.health import Health
from assistant.intents import Intents, Reloaded
from assistant.loading import LoadProblem
from assistant.mqtt.bus import Bus
from assistant.mqtt.payloads import ReplyPayload
from assistant.mqtt.requests import (
    Ask,
    AskResponse,
    ChangeSetting,
    Diagnose,
    DiagnosticsPart,
    DiagnosticsResponse,
    ListPlugins,
    PluginPart,
    PluginsPart,
    PluginsResponse,
    ProblemPart,
    ReloadPart,
    ReloadPlugins,
    ReloadResponse,
    Request,
    Response,
    SettingPart,
    SettingResponse,
)
from assistant.vitals import Vitals

_PACKAGES = ("assistant", "aiomqtt", "numpy", "onnxruntime")

_log = structlog.get_logger(__name__)


class Clerk:
    """Answers one request after the other, whatever becomes of each."""

    def __init__(
        self,
        bus: Bus,
        dialogue: Dialogue,
        intents: Intents,
        controls: Controls,
        *,
        vitals: Vitals,
        health: Health,
        restarts: Mapping[str, int],
    ) -> None:
        """`restarts` counts the failures of the daemon's tasks."""
        self._bus, self._dialogue, self._intents = bus, dialogue, intents
        self._controls = controls
        self._vitals, self._health, self._restarts = vitals, health, restarts

    async def run(self) -> None:
        """Answer every request of the bus, until cancelled."""
        async for inquiry in self._bus.requests():
            self._bus.respond(inquiry.whom, await self.answer(inquiry.request))

    async def answer(self, request: Request) -> Response:
        """Answer one request; what goes wrong is in the response."""
        try:
            return await self._answer(request)
        except AssistantError as error:
            return Response(status="error", error=str(error))
        except Exception as error:  # noqa: BLE001 - one request must not cost the others
            _log.exception("request failed", name=request.name)
            return Response(status="error", error=f"{type(error).__name__}: {error}")

    async def _answer(self, request: Request) -> Response:
        match request:
            case Ask(text=text):
                reply = await self._dialogue.ask(text)
                return AskResponse(data=ReplyPayload.of(reply))
            case ListPlugins():
                return PluginsResponse(data=self._plugins())
            case ReloadPlugins():
                return ReloadResponse(data=await self._reload())
            case ChangeSetting():
                return await change_setting(self._controls, request)
            case Diagnose():
                return DiagnosticsResponse(data=self._diagnostics())
        return Response(status="error", error=f"{request.name} is not known here")

    async def _reload(self) -> ReloadPart:
        changed = await reload_plugins(self._intents, self._health)
        return ReloadPart(
            started=changed.started, stopped=changed.stopped, problems=_told(changed.problems)
        )

    def _plugins(self) -> PluginsPart:
        return PluginsPart(
            plugins=tuple(
                PluginPart(
                    name=loaded.plugin.name,
                    intents=tuple(bound.intent for bound in loaded.handlers),
                    examples=tuple(
                        example for bound in loaded.handlers for example in bound.handler.examples
                    ),
                )
                for loaded in self._intents.plugins
            ),
            problems=_told(self._intents.problems),
        )

    def _diagnostics(self) -> DiagnosticsPart:
        turns = asdict(self._dialogue.counters)
        return diagnose(self._bus, self._health, self._vitals, turns, self._restarts)


def diagnose(
    bus: Bus, health: Health, vitals: Vitals, turns: dict[str, int], restarts: Mapping[str, int]
) -> DiagnosticsPart:
    """Say how the daemon fares; `turns` counts them by what became of them."""
    info = health.info
    versions = {"python": platform.python_version()}
    return DiagnosticsPart(
        versions=versions | {package: version(package) for package in _PACKAGES},
        model=info.model,
        microphone=info.microphone,
        problem=info.problem,
        messages=asdict(bus.counters),
        turns=turns,
        restarts=dict(restarts),
        metrics=vitals.measure(),
    )


async def change_setting(controls: Controls, request: ChangeSetting) -> SettingResponse:
    """Change it, and say what it is now; raises as `Controls.change` does."""
    applied = await controls.change(request.setting, request.value)
    return SettingResponse(data=SettingPart(setting=request.setting, value=applied))


async def reload_plugins(intents: Intents, health: Health) -> Reloaded:
    """Reload the plugins, and say which there are now."""
    changed = await intents.reload()
    health.has_plugins(tuple(loaded.plugin.name for loaded in intents.plugins))
    return changed


def _told(problems: Sequence[LoadProblem]) -> tuple[ProblemPart, ...]:
    return tuple(ProblemPart(plugin=each.plugin, reason=each.reason) for each in problems)
