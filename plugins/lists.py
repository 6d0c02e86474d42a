"""A shopping list and a to-do list, kept between restarts."""

import re
from typing import Annotated

from assistant.plugin import Choices, Plugin, Samples, Turn

MAX_ITEMS = 200
"""Entries of one list."""

_SHOPPING = ("shopping list", "grocery list", "groceries list", "shopping", "groceries")
_TO_DO = ("to do list", "todo list", "task list", "to dos", "tasks", "list of tasks")
_LEAD = "^(?:(?:the|some|any|there|my|our) )+"
_FORM = re.compile(rf"{_LEAD}|(?<=\w\w)(?:ies?|es?|y|s)\b")

Which = Annotated[str, Choices({"shopping": _SHOPPING, "to-do": _TO_DO})]
_SOME = ("milk", "bread", "eggs", "butter", "cheese", "apples", "coffee", "eggs and bread")
_MORE = ("toilet paper", "olive oil", "bananas", "call the dentist", "water the plants", "rice")
Item = Annotated[str, Samples(*_SOME, *_MORE)]

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
    items = _things(item, which)
    new = [each for each in items if each not in listed]
    if not new:
        return f"{_are(items, which)} on the {which} list already.".capitalize()
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
    found, lacking = _find(turn, item, which)
    return f"No, {lacking}" if lacking else f"Yes, {_are(found, which)} on it."


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
    found, lacking = _find(turn, item, which)
    turn.store[which] = [each for each in _read(turn, which) if each not in found]
    taken = f"I took {_join(found)} off the {which} list. " if found else ""
    return f"{taken}{lacking.capitalize()}".strip()


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


def _things(said: str, which: str) -> list[str]:
    parts = dict.fromkeys(re.sub(_LEAD, "", part) for part in re.split(" and | plus ", said))
    return [*parts] if which == "shopping" else [said]


def _find(turn: Turn, said: str, which: str) -> tuple[list[str], str]:
    """What is listed of what was said, be it one or many, and a sentence about what is not."""
    known = {_FORM.sub("", each): each for each in _read(turn, which)}
    things = {_FORM.sub("", each): each for each in _things(said, which)}
    missing = [things[each] for each in things if each not in known]
    lacking = f"{_are(missing, which)} not on the {which} list." if missing else ""
    return [known[each] for each in things if each in known], lacking


def _are(items: list[str], which: str) -> str:
    many = len(items) > 1 or (which == "shopping" and re.search("[^su]s$", items[0]))
    return f"{_join(items)} {'are' if many else 'is'}"


def _join(items: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(items[:-1]), *items[-1:])))
