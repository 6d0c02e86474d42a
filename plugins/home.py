"""Switches, covers and scenes over MQTT, with the payloads of Home Assistant's MQTT entities."""

from dataclasses import dataclass
from typing import Annotated, Literal

from assistant.plugin import Choices, Plugin, Range, Turn


@dataclass(frozen=True, slots=True)
class HomeConfig:
    """The table `plugins.config.home` of the settings.

    `{name}` in a topic is replaced by what is meant, with underscores. A name under `topics` has
    a topic of its own, which goes before the others.
    """

    switches: tuple[str, ...] = ("fan", "coffee machine", "heater", "dishwasher", "speakers")
    covers: tuple[str, ...] = ("blinds", "curtains", "shutters", "garage door", "awning")
    scenes: tuple[str, ...] = ("movie night", "good night", "good morning", "dinner", "party")
    switch: str = "home/switch/{name}/set"
    """Gets `ON` or `OFF`."""
    cover: str = "home/cover/{name}/set"
    """Gets `OPEN`, `CLOSE` or `STOP`."""
    position: str = "home/cover/{name}/position/set"
    """Gets 0 (closed) to 100 (open)."""
    scene: str = "home/scene/{name}/set"
    """Gets `ON`."""
    topics: tuple[tuple[str, str], ...] = ()
    """Pairs of a name and its topic."""


def _topic(config: HomeConfig, pattern: str, name: str) -> str:
    own = dict(config.topics).get(name)
    return own or pattern.replace("{name}", name.replace(" ", "_"))


def _topics(config: HomeConfig) -> list[str]:
    kinds = [(config.switch, config.switches), (config.cover, config.covers)]
    kinds += [(config.position, config.covers), (config.scene, config.scenes)]
    return [_topic(config, pattern, name) for pattern, names in kinds for name in names]


State = Annotated[Literal["on", "off"], Choices({"on": ["on"], "off": ["off", "out"]})]
Device = Annotated[str, Choices(lambda config: config.switches)]
Cover = Annotated[str, Choices(lambda config: config.covers)]
Scene = Annotated[str, Choices(lambda config: config.scenes)]
Percent = Annotated[int, Range(0, 100)]
Move = Annotated[
    Literal["open", "close", "stop"],
    Choices({"open": ["open", "raise", "pull up"], "close": ["close", "lower", "shut"]}),
]
_DONE = {"open": "opening", "close": "closing", "stop": "stopped"}

plugin = Plugin(
    "home",
    about="switch devices and move the blinds",
    config=HomeConfig,
    topics=_topics,
    rules={
        "the": "[the|my|our]",
        "turn": "(turn|switch|put)",
    },
)


@plugin.intent(
    "<turn> {state} <the> {device}",
    "<turn> <the> {device} {state}",
    examples={
        "turn on the fan": {"state": "on", "device": "fan"},
        "switch the coffee machine off": {"state": "off", "device": "coffee machine"},
    },
    min_confidence=0.9,
)
async def switch(turn: Turn[HomeConfig], device: Device, state: State) -> str:
    """Switch a device."""
    await _send(turn, turn.config.switch, device, state.upper())
    verb = "are" if device.endswith("s") else "is"
    return f"The {device} {verb} {state}."


@plugin.intent(
    "{move} <the> {cover}",
    examples={
        "open the blinds": {"move": "open", "cover": "blinds"},
        "close the garage door": {"move": "close"},
        "stop the curtains": {"move": "stop"},
    },
    min_confidence=0.9,
)
async def move(turn: Turn[HomeConfig], move: Move, cover: Cover) -> str:
    """Open, close or stop a cover."""
    await _send(turn, turn.config.cover, cover, move.upper())
    return f"The {cover}: {_DONE[move]}."


@plugin.intent(
    "(set|move|open|raise) <the> {cover} [to] {percent} percent [open]",
    "(close|lower) <the> {cover} (to {percent} percent [open]|{closed} percent)",
    examples={
        "set the blinds to fifty percent": {"cover": "blinds", "percent": 50},
        "close the blinds thirty percent": {"cover": "blinds", "closed": 30},
    },
    min_confidence=0.9,
)
async def position(
    turn: Turn[HomeConfig], cover: Cover, percent: Percent = 0, closed: Percent | None = None
) -> str:
    """Open or close a cover so far."""
    if closed is not None:
        percent = 100 - closed
    await _send(turn, turn.config.position, cover, str(percent))
    return f"The {cover}: {percent} percent open."


@plugin.intent(
    "(activate|start|set|turn on|run) <the> {scene} (scene|mode|lights)",
    "(activate|run) <the> {scene}",
    "scene {scene}",
    examples={"activate the movie night scene": {"scene": "movie night"}},
    min_confidence=0.9,
)
async def scene(turn: Turn[HomeConfig], scene: Scene) -> str:
    """Set a scene."""
    await _send(turn, turn.config.scene, scene, "ON")
    return f"{scene.capitalize()}."


async def _send(turn: Turn[HomeConfig], pattern: str, name: str, payload: str) -> None:
    await turn.mqtt.publish(_topic(turn.config, pattern, name), payload)
