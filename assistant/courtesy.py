"""Polite words around a request, which need not be in any template."""

import re

_BEFORE = re.compile(
    r"(?:please|hey|okay|ok|so|um|uh|now|well|assistant|quick question|i have a question"
    r"|(?:can|could|would|will) you|go ahead and"
    r"|i want you to|i would like you to|id like you to|i'd like you to)\s"
)
_AFTER = re.compile(r"\s(?:please|now|right now|thanks|thank you|for me|would you|will you)$")


def polite(text: str) -> tuple[str, str, str]:
    """Split polite words off both ends of a normalised sentence; the middle is never empty."""
    start, end = 0, len(text)
    while found := _BEFORE.match(text, start, end):
        start = found.end()
    while found := _AFTER.search(text, start, end):
        end = found.start()
    return text[:start].strip(), text[start:end].strip(), text[end:].strip()
