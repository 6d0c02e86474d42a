"""Matching: which handlers understand some words, and which sentences they may be mis-heard from.

A `Matcher` never changes once made, so that plugins can be reloaded while a turn goes on.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from assistant import spoken
from assistant.courtesy import polite
from assistant.loading import BoundHandler, LoadedPlugin
from assistant.nearby import Near, Nearby, plausible
from assistant.slots import jsonable
from assistant.templates import Template

FUZZY_CONFIDENCE = 0.95
"""Confidence of a mis-heard sentence whose letters all agree; an exact match has 1.0."""
MAX_CHARS = 400
"""Nobody says more in one request; longer texts match nothing."""
_NEAR = 16
_DRY_ROUNDS = 40


@dataclass(frozen=True, slots=True)
class Match:
    """A handler that can answer, and what it would be told."""

    bound: BoundHandler
    slots: Mapping[str, Any]
    """Typed as the handler's signature says."""
    confidence: float
    """1.0 for the exact words of a template, below `FUZZY_CONFIDENCE` for near ones."""
    sentence: str
    """What was matched: the transcript, or the nearest sentence of the templates."""
    specificity: int
    """Characters that the template names itself; more of them rank higher."""
    answer: str = ""
    """What was answered, when the words answer a handler's question."""

    @property
    def intent(self) -> str:
        """`plugin.handler`."""
        return self.bound.intent

    @property
    def told(self) -> dict[str, Any]:
        """The slots, ready for JSON: durations in seconds, times as "HH:MM"."""
        return jsonable(self.slots)


class Sentence(NamedTuple):
    """One way to say an intent."""

    text: str
    intent: str
    slots: Mapping[str, Any]
    """Ready for JSON."""


class _Owner(NamedTuple):
    bound: BoundHandler
    template: Template


def rank(match: Match) -> tuple[float, int, int]:
    """Order matches: the highest is asked first."""
    return match.confidence, match.bound.handler.priority, match.specificity


class Matcher:
    """The sentences of some handlers."""

    def __init__(self, handlers: Sequence[BoundHandler]) -> None:
        self._owners = [_Owner(bound, each) for bound in handlers for each in bound.templates]
        self._heard = [owner for owner in self._owners if owner.bound.handler.listened_for]
        self._words = [(owner.template.certain_word, owner) for owner in self._owners]
        self._last_near: tuple[str, list[Near]] = ("", [])

    @classmethod
    def of(cls, plugins: Sequence[LoadedPlugin]) -> "Matcher":
        """Index the sentences of whole plugins, so that no turn waits for it."""
        matcher = cls([bound for loaded in plugins for bound in loaded.handlers])
        _ = matcher._nearby
        return matcher

    def __len__(self) -> int:
        """How many templates there are."""
        return len(self._owners)

    def exact(self, text: str) -> list[Match]:
        """Return the handlers one of whose templates says `text`, best first.

        Order is by priority and then by how specific the template is. Polite words around the
        sentence ("could you …, please") need not be in the templates.
        """
        if len(text) > MAX_CHARS:
            return []
        whole = spoken.normalise(text)
        _, core, _ = polite(whole)
        for sentence in dict.fromkeys((whole, core)):
            if matches := self._exact(sentence):
                return matches
        return []

    def fuzzy(self, text: str) -> list[Match]:
        """Return the handlers with a sentence that `text` may be mis-heard from, nearest first."""
        if len(text) > MAX_CHARS:
            return []
        _, heard, _ = polite(spoken.normalise(text))
        found: dict[str, Match] = {}
        key = spoken.key(heard)
        for near in self._near(heard, _NEAR)[:_NEAR]:
            bound, template = self._heard[near.owner]
            confidence = round(FUZZY_CONFIDENCE * near.ratio / 100, 3)
            said = spoken.key(near.sentence)
            if confidence < bound.handler.min_confidence or not plausible(key, said):
                continue
            if bound.intent not in found and (hit := template.match(said)):
                found[bound.intent] = Match(bound, hit[0], confidence, near.sentence, hit[1])
        return sorted(found.values(), key=rank, reverse=True)

    def candidates(self, text: str, limit: int) -> list[str]:
        """Return up to `limit` sentences near a mis-heard `text`, nearest first.

        Slots are filled from lists, numbers and durations from what was heard, and polite words
        are kept.
        """
        if len(text) > MAX_CHARS:
            return []
        before, core, after = polite(spoken.normalise(text))
        near = self._near(core, max(limit, _NEAR))[:limit]
        return [" ".join(filter(None, (before, found.sentence, after))) for found in near]

    def sentences(self, seed: int = 0) -> Iterator[Sentence]:
        """Draw different sentences, of every template that is listened for, until none is new."""
        rng = random.Random(seed)  # noqa: S311 - a fair choice, not a secret
        seen: set[str] = set()
        dry = 0
        while dry < _DRY_ROUNDS and self._heard:
            known = len(seen)
            for bound, template in self._heard:
                text, said = template.sample(rng)
                slots = template.read({name: spoken.key(words) for name, words in said.items()})
                if text not in seen and slots is not None:
                    seen.add(text)
                    yield Sentence(text, bound.intent, jsonable(slots))
            dry = dry + 1 if len(seen) == known else 0

    def _exact(self, sentence: str) -> list[Match]:
        found: dict[str, Match] = {}
        key = sentence.replace("'", "")
        for owner in [owner for word, owner in self._words if word in key]:
            if hit := owner.template.match(key):
                match = Match(owner.bound, hit[0], 1.0, sentence, hit[1])
                if match.intent not in found or rank(match) > rank(found[match.intent]):
                    found[match.intent] = match
        return sorted(found.values(), key=rank, reverse=True)

    @cached_property
    def _nearby(self) -> Nearby:
        return Nearby([owner.template for owner in self._heard])

    def _near(self, heard: str, limit: int) -> list[Near]:
        """Search once for a transcript that is both matched and asked for candidates."""
        before, found = self._last_near
        if before != heard or len(found) < limit:
            found = self._nearby.near(heard, limit)
            self._last_near = (heard, found)
        return found
