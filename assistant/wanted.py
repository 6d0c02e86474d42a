"""Which intents are wanted, as a list of names says it."""

from collections.abc import Collection


def wants(intents: Collection[str] | None, intent: str) -> bool:
    """Whether `intent` is among `intents`; None is all, and `-name` is all but that one."""
    if intents is None:
        return True
    if not intents or f"-{intent}" in intents:
        return False
    return intent in intents or all(each.startswith("-") for each in intents)
