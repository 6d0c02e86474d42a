"""A plugin that nano was not trained for: many slots, all but one of which may be left out."""

from typing import Annotated, Literal

from assistant.plugin import Choices, Plugin, Turn

Size = Literal["small", "medium", "large"]
Shots = Literal["single shot", "double shot", "triple shot"]
Roast = Literal["light roast", "medium roast", "dark roast"]
Drink = Literal["americano", "cappuccino", "coffee", "espresso", "latte", "mocha"]
Amount = Annotated[
    Literal["no", "a little", "some", "a lot of"],
    Choices(
        {
            "no": ["no"],
            "a little": ["a little", "a little bit of", "light"],
            "some": ["some", "regular"],
            "a lot of": ["a lot of", "lots of", "extra"],
        }
    ),
]

plugin = Plugin(
    "coffee",
    about="order coffee",
    rules={
        "want": "(can i (get|have)|i (want|would like|will have)|(get|give|make|bring) me)",
        "cup": "[a|an] [{size}] [{shots}] [{roast}] {drink}",
    },
)


@plugin.intent(
    "<want> <cup>",
    "<want> <cup> with {milk} milk [and {sugar} sugar]",
    "<want> <cup> with {sugar} sugar [and {milk} milk]",
    examples=["can i have a large dark roast latte with no sugar"],
)
async def order(  # noqa: PLR0917 - a parameter for each slot
    turn: Turn,
    drink: Drink,
    size: Size | None = None,
    shots: Shots | None = None,
    roast: Roast | None = None,
    milk: Amount | None = None,
    sugar: Amount | None = None,
) -> str:
    """Take an order."""
    return f"One {drink}."
