"""Lights over MQTT: on, off, dimmed, and whether they are on."""

from dataclasses import dataclass
from typing import Annotated, Literal

from assistant.plugin import Choices, Plugin, Range, Reply, Turn

ROOMS = (
    *("kitchen", "living room", "bedroom", "bathroom", "hallway", "office", "dining room"),
    *("garage", "garden", "basement", "attic", "kids room", "guest room", "porch", "laundry room"),
)


@dataclass(frozen=True, slots=True)
class LightsConfig:
    """The table `plugins.config.lights` of the settings."""

    topic: str = "home/light/{room}/set"
    """`{room}` is replaced by the room's name with underscores."""
    rooms: tuple[str, ...] = ROOMS


def _topic(config: LightsConfig, room: str) -> str:
    return config.topic.replace("{room}", room.replace(" ", "_"))


Room = Annotated[str, Choices(lambda config: config.rooms)]
State = Annotated[Literal["on", "off"], Choices({"on": ["on"], "off": ["off", "out"]})]

plugin = Plugin(
    "lights",
    about="switch and dim the lights",
    config=LightsConfig,
    topics=lambda config: [_topic(config, room) for room in config.rooms],
    rules={
        "light": "(light|lights|lamp|lamps)",
        "in": "(in|of|for|at) [the|my]",
        "turn": "(turn|switch|put|shut|flip)",
        "all": "(everything|all [of] [the] (lights|lamps)|every light|[the] <light>)",
        "level": "[to|at] {percent} percent [brightness]",
    },
)


@plugin.intent(
    "<turn> {state} [the|my|all the|all] {room} <light>",
    "<turn> [the|my|all the|all] {room} <light> {state}",
    "<turn> {state} [the|all the|all] <light> <in> {room}",
    "<turn> [the|all the|all] <light> <in> {room} {state}",
    "<turn> [the|all the|all] <light> {state} <in> {room}",
    "[the] {room} <light> {state}",
    "<light> {state} <in> {room}",
    "i (want|need|would like) [the] {room} <light> {state}",
    examples={
        "turn on the kitchen light": {"room": "kitchen", "state": "on"},
        "switch off the lights in the bedroom": {"room": "bedroom", "state": "off"},
        "could you turn the living room lights off please": {"room": "living room"},
        "put the lights on in the garage": {"room": "garage", "state": "on"},
        "hallway light off": {"room": "hallway", "state": "off"},
    },
)
async def switch(turn: Turn[LightsConfig], room: Room, state: State) -> Reply:
    """Switch the lights of one room."""
    await _send(turn, room, state.upper(), state)
    return Reply(f"The {room} light is {state}.")


@plugin.intent(
    "<turn> {state} <all>",
    "<turn> <all> {state}",
    "<all> {state}",
    examples={
        "turn everything off": {"state": "off"},
        "turn off all the lights": {"state": "off"},
        "switch all lights on": {"state": "on"},
        "lights out": {"state": "off"},
        "turn on the lights": {"state": "on"},
    },
)
async def switch_all(turn: Turn[LightsConfig], state: State) -> str:
    """Switch the lights of every room."""
    for room in turn.config.rooms:
        await _send(turn, room, state.upper(), state)
    return f"All lights are {state}."


@plugin.intent(
    "(dim|set|turn|change|brighten|put|turn down|turn up) [the|my] {room} <light> <level>",
    "(dim|set|turn|change|brighten|put) [the] <light> <in> {room} <level>",
    "(dim|set|turn|change) [down|up] [the] brightness <in> {room} [<light>] <level>",
    "(dim|set) [the] {room} <level>",
    "[the] {room} <light> <level>",
    examples={
        "dim the living room lights to thirty percent": {"room": "living room", "percent": 30},
        "set the kitchen light to 50%": {"room": "kitchen", "percent": 50},
        "set the lights in the office to ten percent": {"room": "office", "percent": 10},
        "bedroom lights twenty percent": {"room": "bedroom", "percent": 20},
    },
)
async def dim(turn: Turn[LightsConfig], room: Room, percent: Annotated[int, Range(0, 100)]) -> str:
    """Set the brightness of one room."""
    payload = {"state": "ON" if percent else "OFF", "brightness": round(percent * 2.55)}
    await _send(turn, room, payload, "on" if percent else "off")
    return f"The {room} light is at {percent} percent."


@plugin.intent(
    "(is [the|my] {room} (light|lamp)|are [the|my] {room} (lights|lamps)) [still|turned] {state}",
    "(is the (light|lamp)|are [the|any] (lights|lamps)) <in> {room} [still|turned] {state}",
    "(is the (light|lamp)|are [the|any] (lights|lamps)) [still|turned] {state} <in> {room}",
    "is there [a|any] light {state} <in> {room}",
    "(check if [the] {room} light is|(did i leave|have i left) [the] {room} <light>) {state}",
    examples={
        "is the kitchen light on": {"room": "kitchen", "state": "on"},
        "are the lights in the bedroom still on": {"room": "bedroom"},
        "did i leave the garage light on": {"room": "garage"},
    },
)
async def ask_state(turn: Turn[LightsConfig], room: Room, state: State) -> str:
    """Say whether a light is on, as far as this plugin switched it."""
    known = turn.store.get(room)
    if known is None:
        return f"I don't know: nobody asked me about the {room} light yet."
    answer = "Yes" if known == state else "No"
    return f"{answer}, the {room} light is {known}."


@plugin.intent(
    "(which|what) (lights|lamps) are {state} [right now]",
    "are [there] any (lights|lamps) [still] {state}",
    examples={"which lights are on": {"state": "on"}, "are any lights still on": {"state": "on"}},
)
async def list_lights(turn: Turn[LightsConfig], state: State) -> str:
    """Name the rooms whose lights are on or off."""
    rooms = [room for room in turn.config.rooms if turn.store.get(room) == state]
    return f"{', '.join(rooms)}." if rooms else f"None that I know of are {state}."


async def _send(turn: Turn[LightsConfig], room: str, payload: object, state: str) -> None:
    topic = _topic(turn.config, room)
    await turn.mqtt.publish(topic, payload if isinstance(payload, dict) else str(payload))
    turn.store[room] = state
