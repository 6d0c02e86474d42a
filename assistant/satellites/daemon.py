"""The running satellite: it hears, asks the engines, and says what they answer."""

from functools import partial

from assistant.daemon import Background, Daemon, obey_all
from assistant.errors import UserError
from assistant.mqtt.bus import Bus
from assistant.mqtt.requests import Response
from assistant.satellites.courier import Courier
from assistant.settings_layers import fingerprint
from assistant.vitals import Vitals

NOT_HERE = "this is a satellite, which has no plugins and no model: ask an engine"


class Satellite(Daemon):
    """A daemon without a model: everything but the understanding."""

    async def _converse(self, bus: Bus) -> None:
        settings, clock = self._settings, self._clock
        if settings.mqtt.protocol == "3.1.1":
            raise UserError("mqtt.protocol is 3.1.1, but a satellite needs MQTT 5")
        source, listener, health = self._ears_of(bus)
        courier = Courier(
            bus, listener,
            site=settings.site, settings=settings.satellites, clock=clock, new_id=self._new_id,
        )  # fmt: skip
        health.loaded(model="satellite", plugins=(), config_hash=fingerprint(settings))
        background: Background = {
            "commands": partial(obey_all, bus, courier, listener),
            "watch": partial(self._watch, source, listener, health),
            "metrics": Vitals(bus, courier, listener, clock, self._wall_time).run,
            "requests": partial(_decline_all, bus),
        }
        await self._attend(bus, source, listener, courier, background)


async def _decline_all(bus: Bus) -> None:
    async for inquiry in bus.requests():
        bus.respond(inquiry.whom, Response(status="error", error=NOT_HERE))
