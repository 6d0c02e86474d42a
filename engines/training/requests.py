"""Draws requests from the corpus: for training, and for evaluation on texts it never saw."""

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from engines.training.families import (
    FOLDER,
    Family,
    Request,
    RequestsError,
    load,
    read_toml,
)
from engines.training.text import spoken

__all__ = [
    "Family",
    "Request",
    "RequestsError",
    "Sampler",
    "acceptable",
    "evaluation",
    "held_out",
    "load",
    "recognise",
    "reserved",
    "sample",
    "sampler",
]

HELD_OUT_PERCENT = 3
KINDS = {"fact": 0.34, "calculation": 0.1, "small_talk": 0.18, "refusal": 0.14, "command": 0.24}
"""Share of each kind in what training sees."""


@dataclass(frozen=True, slots=True)
class Sampler:
    """Draws training requests; held-out and reserved texts never come out."""

    pools: Mapping[str, Sequence[Family]]
    """Families by kind."""
    kinds: Mapping[str, float]
    """Share of each kind."""

    def __call__(self, rng: random.Random) -> Request:
        """One request for training, the same for the same state of `rng`."""
        while held_out((request := self.any(rng)).text):
            pass
        return request

    def any(self, rng: random.Random) -> Request:
        """One request, held out or not."""
        families = self.pools[rng.choices(list(self.kinds), list(self.kinds.values()))[0]]
        weights = [family.weight for family in families]
        return rng.choices(families, weights)[0].draw(rng)


@cache
def sampler() -> Sampler:
    """The sampler of the corpus beside this module."""
    families = load()
    return Sampler({kind: [f for f in families if f.kind == kind] for kind in KINDS}, KINDS)


def sample(rng: random.Random) -> Request:
    """One request for training from the corpus beside this module."""
    return sampler()(rng)


def held_out(text: str) -> bool:
    """Whether `text` is kept for evaluation: reserved by name, or one of about 3 % by its hash."""
    said = spoken(text)
    digest = hashlib.blake2b(said.encode(), digest_size=4).digest()
    return int.from_bytes(digest) % 100 < HELD_OUT_PERCENT or said in reserved()


@cache
def reserved() -> tuple[str, ...]:
    """Sentences for evaluation, as said, that are never trained on."""
    lists = read_toml(FOLDER / "reserved.toml")
    return tuple(spoken(text) for texts in lists.values() for text in texts)


def evaluation(count: int, seed: int) -> list[Request]:
    """Distinct requests with held-out texts: all reserved ones first, then others, `count` in all.

    The same for the same seed; kinds come in their shares of training.
    """
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    chosen: dict[str, Request] = {}
    for request in recognise(reserved()):
        chosen.setdefault(request.text, request)
    while len(chosen) < count:
        request = sampler().any(rng)
        if held_out(request.text):
            chosen.setdefault(request.text, request)
    return list(chosen.values())[:count]


def recognise(texts: Sequence[str]) -> Iterator[Request]:
    """The requests of the corpus that `texts` (as said, without frames) are, in no order."""
    for families in sampler().pools.values():
        for family in families:
            yield from family.recognise(texts)


def acceptable(answer: str, accepted: Sequence[str]) -> bool:
    """Whether `answer` holds any of the accepted words (see `Request.accepted`)."""
    said = f" {spoken(answer.rstrip('.!?'))} "
    return any(f" {words} " in said for words in accepted)
