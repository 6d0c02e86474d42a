"""The running satellite: it hears, asks the engines, and says what they answer."""

from collections.abc import Callable
from functools import partial
from typing import Any

from assistant.clerk import change_setting, diagnose
from assistant.controls import Controls
from assistant.daemon import Background, Daemon
from assistant.errors import AssistantError, UserError
from assistant.mqtt.bus import Bus
from assistant.mqtt.embedded import EMBEDDED
from assistant.mqtt.requests import (
    ChangeSetting,
    Diagnose,
    DiagnosticsPart,
    DiagnosticsResponse,
    Response,
)
from assistant.obeying import obey_all
from assistant.satellites.courier import Courier
from assistant.settings import Settings
from assistant.settings_layers import fingerprint
from assistant.vitals import Vitals

NOT_HERE = "this is a satellite, which has no plugins and no model: ask an engine"


class Satellite(Daemon):
    """A daemon without a model: everything but the understanding."""

    def __init__(self, settings: Settings, *args: Any, **options: Any) -> None:
        """As `Daemon`; raises `UserError` for a broker that cannot serve satellites."""
        mqtt = settings.mqtt
        if mqtt.host == EMBEDDED:
            raise UserError("mqtt.host is embedded: name the broker that the engines use")
        if mqtt.protocol == "3.1.1":
            raise UserError("mqtt.protocol is 3.1.1, but a satellite needs MQTT 5")
        newest = settings.model_copy(update={"mqtt": mqtt.model_copy(update={"protocol": "5"})})
        super().__init__(newest, *args, **options)

    async def _converse(self, bus: Bus) -> None:
        settings, clock = self._settings, self._clock
        source, listener, health = self._ears_of(bus)
        courier = Courier(
            bus, listener,
            site=settings.site, settings=settings.satellites, clock=clock, new_id=self._new_id,
        )  # fmt: skip
        if self._bridge is not None:
            self._bridge.connect(courier.limit, listener.heed)
        health.loaded(model="satellite", plugins=(), config_hash=fingerprint(settings))
        controls = Controls(bus, listener, settings, self._memory)
        await controls.restore()
        vitals = Vitals(bus, courier, listener, clock, self._wall_time)

        def look() -> DiagnosticsPart:
            return diagnose(bus, health, vitals, courier.tally(), self._supervisor.restarts)

        background: Background = {
            "commands": partial(obey_all, bus, courier, listener, controls),
            "watch": partial(self._watch, source, listener, health),
            "metrics": vitals.run,
            "requests": partial(_answer_all, bus, controls, look),
        }
        await self._attend(bus, source, listener, courier, background)


async def _answer_all(bus: Bus, controls: Controls, look: Callable[[], DiagnosticsPart]) -> None:
    async for inquiry in bus.requests():
        try:
            match inquiry.request:
                case ChangeSetting() as wish:
                    response: Response = await change_setting(controls, wish)
                case Diagnose():
                    response = DiagnosticsResponse(data=look())
                case _:
                    response = Response(status="error", error=NOT_HERE)
        except AssistantError as error:
            response = Response(status="error", error=str(error))
        bus.respond(inquiry.whom, response)
