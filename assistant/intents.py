"""Intents: from words to the handler that answers them."""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from assistant import plugin as author
from assistant import spoken
from assistant.handling import HandlerFailedError, PluginRuntime
from assistant.loading import BoundHandler, LoadedPlugin, LoadProblem, load_plugins
from assistant.nearby import Near, Nearby, plausible
from assistant.outside import Outside
from assistant.settings import Settings
from assistant.slots import jsonable
from assistant.templates import Template
from assistant.turn import Turn

FUZZY_CONFIDENCE = 0.95
"""Confidence of a mis-heard sentence whose letters all agree; an exact match has 1.0."""
_MAX_CHARS = 400
_NEAR = 16
_DRY_ROUNDS = 40

_BEFORE = re.compile(
    r"(?:please|hey|okay|ok|so|um|uh|now|(?:can|could|would|will) you|go ahead and"
    r"|i want you to|i would like you to|id like you to|i'd like you to)\s"
)
_AFTER = re.compile(r"\s(?:please|now|right now|thanks|thank you|for me|would you|will you)$")

_log = structlog.get_logger(__name__)


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

    @property
    def intent(self) -> str:
        """`plugin.handler`."""
        return self.bound.intent


@dataclass(frozen=True, slots=True)
class HandlerResult:
    """What a plugin answered to a turn."""

    intent: str
    slots: Mapping[str, Any]
    """Ready for JSON: durations in seconds, times as "HH:MM"."""
    text: str
    confidence: float
    ask: author.Ask | None = None
    """The follow-up question, when the reply is one; its text is `text`."""
    error: str | None = None
    """Why the plugin failed, with file and line; `text` then says so to the user."""


class Sentence(NamedTuple):
    """One way to say an intent."""

    text: str
    intent: str
    slots: Mapping[str, Any]
    """Ready for JSON."""


class _Owner(NamedTuple):
    bound: BoundHandler
    template: Template


class Intents:
    """The loaded plugins: matches words, proposes sentences, runs handlers.

    Made by `Intents.load`. Matching and proposing need nothing else; handlers run between
    `start` and `stop`.
    """

    def __init__(
        self,
        plugins: Sequence[LoadedPlugin],
        problems: Sequence[LoadProblem] = (),
        *,
        state_folder: Path,
        timeout_s: float,
    ) -> None:
        self.plugins = tuple(plugins)
        self.problems = tuple(problems)
        self._state_folder = state_folder
        self._timeout_s = timeout_s
        self._runtimes: dict[str, PluginRuntime] = {}
        self._owners = [
            _Owner(bound, template)
            for loaded in self.plugins
            for bound in loaded.handlers
            for template in bound.templates
        ]
        self._last_near: tuple[str, list[Near]] = ("", [])

    @classmethod
    def load(cls, settings: Settings) -> "Intents":
        """Find, import and check every plugin; what is broken is in `problems`. Never raises."""
        plugins, problems = load_plugins(settings.plugins)
        for problem in problems:
            _log.error("plugin not loaded", plugin=problem.plugin, reason=problem.reason)
        state_folder, timeout_s = settings.state_folder, settings.plugins.timeout_s
        intents = cls(plugins, problems, state_folder=state_folder, timeout_s=timeout_s)
        _ = intents._nearby  # built now, so that no turn waits for it
        return intents

    def match(self, text: str) -> list[Match]:
        """Return the handlers that understand `text`, best first.

        Exact matches come first, by priority and then by how specific the template is; where
        there is none, sentences that `text` may be mis-heard from, by nearness. Polite words
        around the sentence ("could you …, please") need not be in the templates.
        """
        if len(text) > _MAX_CHARS:
            return []
        whole = spoken.normalise(text)
        _, core, _ = _polite(whole)
        for sentence in dict.fromkeys((whole, core)):
            if matches := self._exact(sentence):
                return matches
        return self._fuzzy(core)

    def candidates(self, text: str, limit: int = 16) -> list[str]:
        """Return up to `limit` sentences of the templates near a mis-heard `text`, nearest first.

        They are what the speaker may have said, to be scored against the audio: slots are filled
        from lists, numbers and durations from what was heard, and polite words are kept.
        """
        if len(text) > _MAX_CHARS:
            return []
        before, core, after = _polite(spoken.normalise(text))
        near = self._near(core, max(limit, _NEAR))[:limit]
        return [" ".join(filter(None, (before, found.sentence, after))) for found in near]

    def sentences(self, seed: int = 0) -> Iterator[Sentence]:
        """Draw different sentences, a random one of every template in turn, until none is new."""
        rng = random.Random(seed)  # noqa: S311 - a fair choice, not a secret
        seen: set[str] = set()
        dry = 0
        while dry < _DRY_ROUNDS and self._owners:
            known = len(seen)
            for bound, template in self._owners:
                text, said = template.sample(rng)
                slots = template.read({name: spoken.key(words) for name, words in said.items()})
                if text not in seen and slots is not None:
                    seen.add(text)
                    yield Sentence(text, bound.intent, jsonable(slots))
            dry = dry + 1 if len(seen) == known else 0

    async def start(self, outside: Outside) -> None:
        """Let the plugins reach `outside` and run their `on_start` hooks."""
        self._runtimes = {
            loaded.plugin.name: PluginRuntime(loaded, outside, self._state_folder, self._timeout_s)
            for loaded in self.plugins
        }
        for runtime in self._runtimes.values():
            await runtime.start()

    async def stop(self) -> None:
        """Run the `on_stop` hooks and cancel everything that plugins scheduled."""
        for runtime in self._runtimes.values():
            await runtime.stop()
        self._runtimes = {}

    @property
    def scheduled(self) -> tuple[str, ...]:
        """`plugin/name` of every callback that waits."""
        return tuple(
            f"{name}/{waiting}"
            for name, runtime in self._runtimes.items()
            for waiting in runtime.scheduled
        )

    async def handle(self, matches: Sequence[Match], turn: Turn) -> HandlerResult | None:
        """Ask the handlers of `matches` in order until one answers; None if all decline.

        A handler that raises, is too slow or returns something else than an answer ends the
        search with an apology and `error`. Call between `start` and `stop`.
        """
        for match in matches:
            result = await self._ask(match, turn)
            if result is not None:
                return result
        return None

    async def _ask(self, match: Match, turn: Turn) -> HandlerResult | None:
        runtime, handler = self._runtimes[match.bound.plugin], match.bound.handler
        seen: author.Turn[Any] = author.Turn(
            id=turn.id,
            transcript=turn.transcript,
            confidence=match.confidence,
            intent=match.intent,
            slots=match.slots,
            last_reply=turn.last_reply,
            abilities=[each.plugin.about for each in self.plugins if each.plugin.about],
            **runtime.tools(turn.site),
        )
        text, ask, error = "", None, None
        try:
            work = _call(match, seen)
            answer = await runtime.run(work, match.intent, handler.timeout_s)
            text, ask = _answer(answer, match)
        except HandlerFailedError as failure:
            text, error = f"The {match.bound.plugin} plugin failed.", str(failure)
            _log.error("plugin failed", plugin=match.bound.plugin, reason=error)
        if not text:
            return None
        slots = jsonable(match.slots)
        return HandlerResult(match.intent, slots, text, match.confidence, ask, error)

    def _exact(self, sentence: str) -> list[Match]:
        found: dict[str, Match] = {}
        key = sentence.replace("'", "")
        for owner in self._owners:
            if hit := owner.template.match(key):
                match = Match(owner.bound, hit[0], 1.0, sentence, hit[1])
                if match.intent not in found or _rank(match) > _rank(found[match.intent]):
                    found[match.intent] = match
        return sorted(found.values(), key=_rank, reverse=True)

    @cached_property
    def _nearby(self) -> Nearby:
        return Nearby([owner.template for owner in self._owners])

    def _near(self, heard: str, limit: int) -> list[Near]:
        """Search once for a transcript that is both matched and asked for candidates."""
        if self._last_near[0] != heard or len(self._last_near[1]) < limit:
            self._last_near = (heard, self._nearby.near(heard, limit))
        return self._last_near[1]

    def _fuzzy(self, heard: str) -> list[Match]:
        found: dict[str, Match] = {}
        key = spoken.key(heard)
        for near in self._near(heard, _NEAR)[:_NEAR]:
            bound, template = self._owners[near.owner]
            confidence = round(FUZZY_CONFIDENCE * near.ratio / 100, 3)
            said = spoken.key(near.sentence)
            if confidence < bound.handler.min_confidence or not plausible(key, said):
                continue
            if bound.intent not in found and (hit := template.match(said)):
                found[bound.intent] = Match(bound, hit[0], confidence, near.sentence, hit[1])
        return sorted(found.values(), key=_rank, reverse=True)


def _rank(match: Match) -> tuple[float, int, int]:
    return match.confidence, match.bound.handler.priority, match.specificity


def _polite(text: str) -> tuple[str, str, str]:
    """Split polite words off both ends of a normalised sentence; the middle is never empty."""
    start, end = 0, len(text)
    while found := _BEFORE.match(text, start, end):
        start = found.end()
    while found := _AFTER.search(text, start, end):
        end = found.start()
    return text[:start].strip(), text[start:end].strip(), text[end:].strip()


async def _call(match: Match, turn: author.Turn[Any]) -> author.Answer:
    return await match.bound.handler.run(turn, **match.slots)


def _answer(answer: object, match: Match) -> tuple[str, author.Ask | None]:
    """Check what a handler returned; the empty text declines."""
    match answer:
        case None:
            return "", None
        case author.Reply(text=str() as text) if text:
            return text, None
        case author.Ask(text=str() as text) if text:
            return text, answer
        case str() if answer:
            return answer, None
    returned = f"{match.intent} returned {answer!r:.80}, not a Reply, an Ask, a text or None"
    raise HandlerFailedError(f"{returned} at {match.bound.handler.source}")
