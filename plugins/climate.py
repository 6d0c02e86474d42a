"""Heating and cooling over MQTT, with the payloads of Home Assistant's MQTT climate."""

from dataclasses import dataclass
from typing import Annotated, Literal

from assistant.plugin import Choices, Plugin, Range, Turn

Unit = Literal["celsius", "fahrenheit"]
_BOUNDS = {"celsius": (5.0, 35.0), "fahrenheit": (41.0, 95.0)}
_MILD = {"celsius": 20.0, "fahrenheit": 68.0}
"""Where "warmer" starts from as long as nothing has been set."""


@dataclass(frozen=True, slots=True)
class ClimateConfig:
    """The table `plugins.config.climate` of the settings.

    `{name}` in a topic is replaced by what is meant, with underscores.
    """

    names: tuple[str, ...] = ("heating", "thermostat", "air conditioning")
    """The first is meant where none is named."""
    temperature: str = "home/climate/{name}/temperature/set"
    """Gets degrees."""
    mode: str = "home/climate/{name}/mode/set"
    """Gets one of `modes`."""
    modes: tuple[str, str] = ("heat", "off")
    """For on and off."""
    own_modes: tuple[tuple[str, str], ...] = (("air conditioning", "cool"),)
    """Pairs of a name and its mode for on, which goes before that of `modes`."""
    unit: Unit = "celsius"
    """Of the degrees that are sent, and that are meant where no unit is said."""


def _topics(config: ClimateConfig) -> list[str]:
    return [
        _topic(each, name) for each in (config.temperature, config.mode) for name in config.names
    ]


def _topic(pattern: str, name: str) -> str:
    return pattern.replace("{name}", name.replace(" ", "_"))


State = Annotated[Literal["on", "off"], Choices({"on": ["on"], "off": ["off", "out"]})]
Climate = Annotated[str, Choices(lambda config: config.names)]
Step = Annotated[Literal["warmer", "cooler"], Choices({"cooler": ["cooler", "colder"]})]

plugin = Plugin(
    "climate",
    about="set the heating",
    config=ClimateConfig,
    topics=lambda config: [
        each.replace("{name}", "+") for each in (config.temperature, config.mode)
    ],
    rules={
        "the": "[the|my|our]",
        "turn": "(turn|switch|put)",
        "set": "(set|put|turn|change)",
        "degrees": "{degrees} degrees [{unit}]",
    },
)


@plugin.intent(
    "<set> <the> {climate} [up|down] to <degrees>",
    "<set> <the> temperature [up|down] to <degrees>",
    examples={
        "set the heating to twenty one degrees": {"climate": "heating", "degrees": 21},
        "set the temperature to 19.5 degrees": {"degrees": 19.5},
        "set the temperature to 70 degrees fahrenheit": {"degrees": 70, "unit": "fahrenheit"},
    },
    min_confidence=0.9,
)
async def temperature(
    turn: Turn[ClimateConfig],
    degrees: Annotated[float, Range(5, 100)],
    climate: Climate | None = None,
    unit: Unit | None = None,
) -> str:
    """Set the wanted temperature; of the first climate where none is named."""
    name = climate or turn.config.names[0]
    degrees = _converted(degrees, unit or turn.config.unit, turn.config.unit)
    coolest, warmest = _BOUNDS[turn.config.unit]
    if not coolest <= degrees <= warmest:
        return f"The {name} can be set to {coolest:g} to {warmest:g} degrees."
    await _send(turn, turn.config.temperature, name, f"{degrees:g}")
    turn.store[name] = degrees
    return f"The {name} is set to {degrees:g} degrees."


@plugin.intent(
    "(make it|turn it|i want it) [a bit|a little] {step} [in here]",
    "(it is|it's) too {wrong} [in here]",
    examples={"make it a bit warmer": {"step": "warmer"}, "it is too hot in here": {}},
    min_confidence=0.95,
)
async def adjust(
    turn: Turn[ClimateConfig],
    step: Step = "cooler",
    wrong: Literal["hot", "warm", "cold", "cool"] | None = None,
) -> str:
    """Change the wanted temperature by a degree."""
    warmer = step == "warmer" if wrong is None else wrong in ("cold", "cool")
    name = turn.config.names[0]
    degrees = turn.store.get(name, _MILD[turn.config.unit]) + (1 if warmer else -1)
    coolest, warmest = _BOUNDS[turn.config.unit]
    return await temperature(turn, max(coolest, min(warmest, degrees)))


@plugin.intent(
    "<turn> {state} <the> {climate}",
    "<turn> <the> {climate} {state}",
    examples={"turn off the heating": {"climate": "heating", "state": "off"}},
    min_confidence=0.9,
)
async def switch(turn: Turn[ClimateConfig], climate: Climate, state: State) -> str:
    """Switch a climate on or off."""
    on, off = turn.config.modes
    on = dict(turn.config.own_modes).get(climate, on)
    await _send(turn, turn.config.mode, climate, on if state == "on" else off)
    return f"The {climate} is {state}."


def _converted(degrees: float, said: Unit, wanted: Unit) -> float:
    """Bring degrees from one unit to the other, to a tenth."""
    if said == wanted:
        return degrees
    if wanted == "celsius":
        return round((degrees - 32) / 1.8, 1)
    return round(degrees * 1.8 + 32, 1)


async def _send(turn: Turn[ClimateConfig], pattern: str, name: str, payload: str) -> None:
    await turn.mqtt.publish(_topic(pattern, name), payload)
