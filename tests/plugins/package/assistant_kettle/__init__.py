"""A kettle over MQTT."""

from typing import Annotated

from assistant.plugin import Plugin, Range, Turn
from assistant_kettle.words import done

plugin = Plugin("kettle", about="boil water", topics=["home/kettle/#"])


@plugin.intent(
    "boil {cups} cup[s] of water",
    examples={"boil two cups of water": {"cups": 2}},
)
async def boil(turn: Turn, cups: Annotated[int, Range(1, 8)]) -> str:
    """Boil some water."""
    await turn.mqtt.publish("home/kettle/set", {"cups": cups})

    async def ready() -> str:
        return done(cups)

    turn.schedule(60 * cups, ready, "kettle")
    return "The kettle is on."
