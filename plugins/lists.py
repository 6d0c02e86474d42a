"""A shopping list and a to-do list, kept between restarts."""

import re
from difflib import get_close_matches
from typing import Annotated

from assistant.plugin import Choices, Plugin, Samples, Turn

MAX_ITEMS = 200
"""Entries of one list."""

Which = Annotated[
    str,
    Choices(
        {
            "shopping": [
                "shopping list",
                "grocery list",
                "groceries list",
                "shopping",
                "groceries",
            ],
            "to-do": ["to do list", "todo list", "task list", "to dos", "tasks", "list of tasks"],
        }
    ),
]
Item = Annotated[
    str,
    Samples(
        *("milk", "bread", "eggs", "butter", "cheese", "apples", "coffee", "eggs and bread"),
        *("toilet paper", "olive oil", "bananas", "call the dentist", "water the plants", "rice"),
    ),
]

plugin = Plugin(
    "lists",
    about="keep your shopping and to-do lists",
    rules={
        "my": "[the|my|our]",
        "list": "((the|my|our) list|<my> {which})",
        "all": "(everything|all|all of|all of it|it all|all items)",
        "any": "(is there anything|do (i|we) have anything|anything)",
    },
)


@plugin.intent(
    "(add|put|write|place|include) {item} (to|on|onto|on to|in) <list>",
    "(add|put|write) (on|onto|to) <list> {item}",
    "<list> add {item}",
    "(i|we) (need|have) to buy {item}",
    examples={
        "add milk to the shopping list": {"item": "milk", "which": "shopping"},
        "put eggs and bread on my list": {"item": "eggs and bread", "which": "shopping"},
        "add call the dentist to my to-do list": {"item": "call the dentist", "which": "to-do"},
        "we need to buy rice": {"item": "rice"},
    },
    min_confidence=0.9,
)
async def add(turn: Turn, item: Item, which: Which = "shopping") -> str:
    """Put something on a list; on the shopping list "eggs and bread" is two things."""
    listed = _read(turn, which)
    items = re.split(r" and | plus ", item) if which == "shopping" else [item]
    new = [each for each in dict.fromkeys(items) if each not in listed]
    if not new:
        return f"{_join(items)} is on the {which} list already.".capitalize()
    if len(listed) + len(new) > MAX_ITEMS:
        return f"The {which} list is full."
    turn.store[which] = [*listed, *new]
    return f"I put {_join(new)} on the {which} list."


@plugin.intent(
    "(what is|what's|what do i have|what do we have|<any>) on <list>",
    "(read|show|tell) [me|us] [what is on|what's on] <list> [out|to me]",
    "what (is|are) <my> {which}",
    "how many (things|items|tasks) are on <list>",
    "what do (i|we) (need|have) to buy",
    examples={
        "what's on the shopping list": {"which": "shopping"},
        "read my to-do list": {"which": "to-do"},
        "what do we need to buy": {},
    },
    min_confidence=0.9,
)
async def read(turn: Turn, which: Which = "shopping") -> str:
    """Read a list out."""
    listed = _read(turn, which)
    return f"On the {which} list: {_join(listed)}." if listed else f"The {which} list is empty."


@plugin.intent(
    "(is|are) {item} [already] on <list>",
    "do (i|we) have {item} on <list>",
    examples={"is milk on the shopping list": {"item": "milk"}},
    min_confidence=0.9,
)
async def has(turn: Turn, item: Item, which: Which = "shopping") -> str:
    """Say whether something is on a list."""
    found = get_close_matches(item, _read(turn, which), 1, 0.75)
    return f"Yes, {found[0]} is on it." if found else f"No, {item} is not on the {which} list."


@plugin.intent(
    "(remove|delete|take|take off|erase|drop) {item} [off] (from|off|of) <list>",
    "(cross|check|tick|scratch|strike) [off] {item} [off] (from|off|on) <list>",
    examples={
        "remove milk from the shopping list": {"item": "milk", "which": "shopping"},
        "cross off eggs from my list": {"item": "eggs"},
        "take water the plants off my to-do list": {"which": "to-do"},
    },
    min_confidence=0.9,
)
async def remove(turn: Turn, item: Item, which: Which = "shopping") -> str:
    """Take something off a list."""
    listed = _read(turn, which)
    found = get_close_matches(item, listed, 1, 0.75)
    if not found:
        return f"{item} is not on the {which} list.".capitalize()
    turn.store[which] = [each for each in listed if each != found[0]]
    return f"I took {found[0]} off the {which} list."


@plugin.intent(
    "(clear|empty|delete|erase|wipe|reset) [<all> on|<all> from|all of] <list>",
    "(remove|take) <all> (from|off) <list>",
    examples={
        "clear the shopping list": {"which": "shopping"},
        "empty my to-do list": {"which": "to-do"},
        "delete everything from my shopping list": {"which": "shopping"},
    },
    min_confidence=0.9,
)
async def clear(turn: Turn, which: Which = "shopping") -> str:
    """Take everything off a list."""
    count = len(_read(turn, which))
    turn.store[which] = []
    return f"The {which} list is empty now." if count else f"The {which} list was empty already."


def _read(turn: Turn, which: str) -> list[str]:
    return [str(item) for item in turn.store.get(which, [])]


def _join(items: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(items[:-1]), *items[-1:])))
