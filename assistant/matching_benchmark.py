"""How quickly the loaded plugins' sentences are matched: as they stand, mis-heard, and others."""

import itertools
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from assistant.matching import Matcher
from assistant.plugin import Plugin, Turn

_CHAT = (
    "what is the capital of france",
    "who wrote the iliad",
    "tell me a story about dragons and a little girl",
    "how are you today my friend",
    "i think that we should go to the sea on sunday",
)
_VOWELS = "aeiou"
_DEEDS = ("start", "clean", "check", "fill", "empty", "lock", "water", "book", "order", "repair")
_THINGS = (
    *("dishwasher", "aquarium", "vacuum robot", "garden hose", "mailbox", "oven", "sauna"),
    *("bird feeder", "car", "greenhouse"),
)
_Place = Literal["kitchen", "garden", "cellar", "attic", "garage", "hall"]
MAX_MADE_UP = len(_DEEDS) * len(_THINGS)


@dataclass(frozen=True, slots=True)
class MatchTimes:
    """Of one kind of sentences, in milliseconds of a core, whatever else the machine does."""

    kind: str
    count: int
    p50_ms: float
    p99_ms: float


def crowd(count: int) -> Plugin:
    """Make a plugin with `count` more templates, up to `MAX_MADE_UP`, to match against."""
    plugin = Plugin("crowd")
    pairs = itertools.islice(itertools.product(_DEEDS, _THINGS), count)

    async def handle(turn: Turn, place: _Place = "kitchen", minutes: int = 0) -> None:
        """Decline."""

    templates = (
        f"{deed} [up] [the|my] {thing} [in the {{place}}] [in {{minutes}} minutes|now]"
        for deed, thing in pairs
    )
    plugin.intent(*templates)(handle)
    return plugin


def bench_match(matcher: Matcher, count: int, seed: int = 0) -> Iterator[MatchTimes]:
    """Time `count` sentences of each kind, none of them twice in a row."""
    said = [each.text for each in itertools.islice(matcher.sentences(seed), count)]
    rng = random.Random(seed)  # noqa: S311 - a fair choice, not a secret
    kinds = {
        "as a template has it": said,
        "mis-heard": [_mishear(text, rng) for text in said],
        "no request": [text for text, _ in zip(itertools.cycle(_CHAT), said, strict=False)],
    }
    for kind, texts in kinds.items():
        times = sorted(_time(matcher, texts))
        if times:
            yield MatchTimes(kind, len(times), _at(times, 0.5), _at(times, 0.99))


def _time(matcher: Matcher, texts: Sequence[str]) -> Iterator[float]:
    for text in texts:
        began = time.thread_time()
        _ = matcher.exact(text) or matcher.fuzzy(text)
        yield 1000 * (time.thread_time() - began)


def _at(times: Sequence[float], share: float) -> float:
    return times[min(len(times) - 1, int(share * len(times)))]


def _mishear(text: str, rng: random.Random) -> str:
    """Spell one word differently."""
    words = text.split()
    place = rng.randrange(len(words))
    words[place] = words[place][:-1] + rng.choice(_VOWELS)
    return " ".join(words)
