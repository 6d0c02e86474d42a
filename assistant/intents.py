"""Intents: from words to the handler that answers them, while plugins come and go."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import structlog

from assistant.answers import Ask, HandlerResult
from assistant.cast import Cast, Player
from assistant.conversation import Conversation, ask_again
from assistant.handling import HandlerFailedError
from assistant.loading import BoundHandler, LoadedPlugin, LoadProblem, load_plugins
from assistant.matching import FUZZY_CONFIDENCE, Match, Matcher, Sentence
from assistant.outside import Outside
from assistant.settings import Settings
from assistant.talks import Talks
from assistant.templates import Template
from assistant.turn import Question, Turn

__all__ = ["FUZZY_CONFIDENCE", "HandlerResult", "Intents", "Match", "Reloaded", "Sentence"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload changed."""

    started: tuple[str, ...]
    """Plugins that are new, or run in a new version."""
    stopped: tuple[str, ...]
    """Plugins that are gone."""
    problems: tuple[LoadProblem, ...]
    """Everything that is broken; where there was an old version, that one goes on."""


class Intents:
    """The loaded plugins: matches words, proposes sentences, runs handlers.

    Made by `Intents.load`. Matching and proposing need nothing else; handlers run between
    `start` and `stop`. `reload` gives the same as `load` would, now.
    """

    def __init__(
        self,
        plugins: Sequence[LoadedPlugin],
        problems: Sequence[LoadProblem] = (),
        *,
        state_folder: Path,
        timeout_s: float,
        reserved_topics: Sequence[str] = (),
        reload: Callable[[Sequence[LoadedPlugin]], tuple[list[LoadedPlugin], list[LoadProblem]]]
        | None = None,
        matcher: Matcher | None = None,
    ) -> None:
        """`reload` loads the plugins once more, given those that run; `matcher` is theirs."""
        self.plugins = tuple(plugins)
        self.problems = tuple(problems)
        self._load_again = reload
        self._cast = Cast(state_folder, timeout_s, tuple(reserved_topics))
        self._matcher = matcher or Matcher.of(self.plugins)
        self._talks = Talks(self._cast.now)
        self._reloading = asyncio.Lock()

    @classmethod
    def load(cls, settings: Settings) -> "Intents":
        """Find, import and check every plugin; what is broken is in `problems`. Never raises."""
        intents = cls.of(settings)
        for problem in intents.problems:
            _log.error("plugin not loaded", plugin=problem.plugin, reason=problem.reason)
        return intents

    @classmethod
    def of(cls, settings: Settings) -> "Intents":
        """Load as `load` does, for those who show the problems themselves."""
        plugins, problems = load_plugins(settings.plugins)
        return cls(
            plugins,
            problems,
            state_folder=settings.state_folder,
            timeout_s=settings.plugins.timeout_s,
            reserved_topics=(f"{settings.mqtt.base_topic}/#",),
            reload=lambda before: load_plugins(settings.plugins, before=before),
        )

    @property
    def templates(self) -> list[Template]:
        """What is listened for: the templates of loaded handlers, and of answers expected now."""
        handlers = [
            bound
            for loaded in self.plugins
            for bound in loaded.handlers
            if bound.handler.listened_for
        ]
        talk = self._talks.current
        expected = talk.expected_templates() if talk else ()
        return [*(template for bound in handlers for template in bound.templates), *expected]

    def match(self, text: str, site: str = "") -> list[Match]:
        """Return the handlers that understand `text`, best first.

        An answer that a handler waits for at `site` comes first, then exact matches, by priority
        and then by how specific the template is; then what continues the request before ("and in
        the kitchen"); then sentences that `text` may be mis-heard from, by nearness.
        """
        talk = self._talks.find(site)
        if talk is None:
            return self._matcher.exact(text) or self._matcher.fuzzy(text)
        answers = talk.wanted(talk.answers(text, exact=True))
        return (
            [each for each in answers if each.specificity]
            or talk.wanted(self._matcher.exact(text))
            or answers
            or talk.wanted(talk.continued(text))
            or talk.wanted(talk.answers(text, exact=False))
            or talk.wanted(self._matcher.fuzzy(text))
        )

    def candidates(self, text: str, limit: int = 16) -> list[str]:
        """Return up to `limit` sentences of the templates near a mis-heard `text`, nearest first.

        They are what the speaker may have said, to be scored against the audio: slots are filled
        from lists, numbers and durations from what was heard, and polite words are kept. Answers
        to a question just asked come first.
        """
        talk = self._talks.current
        expected = talk.expected(text, limit) if talk else []
        return list(dict.fromkeys([*expected, *self._matcher.candidates(text, limit)]))[:limit]

    def sentences(self, seed: int = 0) -> Iterator[Sentence]:
        """Draw different sentences, a random one of every template in turn, until none is new."""
        return self._matcher.sentences(seed)

    async def start(self, outside: Outside, *, threads: bool = False) -> None:
        """Let the plugins reach `outside` and run their `on_start` hooks.

        With `threads` each plugin runs on a thread of its own, so that one that blocks costs only
        itself.
        """
        self._cast.open(outside, threads=threads)
        await self._cast.replace(self.plugins)

    async def stop(self) -> None:
        """Run the `on_stop` hooks and cancel everything that plugins scheduled."""
        await self._cast.replace(())
        self._talks.clear()

    async def reload(self) -> Reloaded:
        """Load what has changed since; a running turn is finished by the version it began with.

        A plugin whose new version is broken goes on in the old one. Problems and changes are
        published as events. Call between `start` and `stop`.
        """
        if self._load_again is None:
            return Reloaded((), (), self.problems)
        async with self._reloading:
            before = self.plugins
            plugins, problems = await asyncio.to_thread(self._load_again, before)
            matcher = await asyncio.to_thread(Matcher.of, plugins)
            self.plugins, self.problems, self._matcher = tuple(plugins), tuple(problems), matcher
            await self._cast.replace(plugins)
        names = {each.plugin.name for each in plugins}
        started = tuple(each.plugin.name for each in plugins if each not in before)
        stopped = tuple(each.plugin.name for each in before if each.plugin.name not in names)
        for problem in problems:
            _log.error("plugin not reloaded", plugin=problem.plugin, reason=problem.reason)
            await self._cast.tell("error", problem.plugin, reason=problem.reason)
        for kind, changed in (("reloaded", started), ("unloaded", stopped)):
            for name in changed:
                _log.info(f"plugin {kind}", plugin=name)
                await self._cast.tell(kind, name)
        return Reloaded(started, stopped, tuple(problems))

    def hush(self, site: str) -> None:
        """Wait no longer for the answer to what was asked at `site`: the turn is given up."""
        if talk := self._talks.find(site):
            talk.hushed()

    def speech_began(self, site: str, *, answers: str = "") -> None:
        """Keep the question at `site` open for what is being said there now.

        `answers` names its turn, where it is known that the speech began in time to answer it.
        """
        if talk := self._talks.find(site):
            talk.speech_began(answers=answers)

    def limit(self, site: str, intents: Collection[str] | None) -> None:
        """Understand nothing but these intents at `site` from now on; None for all."""
        self._talks.at(site).limit(intents)

    def hearing(self, site: str) -> AbstractContextManager[None]:
        """Match and propose sentences as for `site`, within it and on this thread.

        Elsewhere, they are as for the site of the last turn.
        """
        return self._talks.hearing(site)

    def overhear(self, turn: Turn, text: str, question: Question | None, answers: str) -> None:
        """Note what another engine answered, so that this one can go on where that one was.

        The turn is matched here as it was there: nothing but its words and the question is taken
        on trust. A plugin that is not here, or understands the words otherwise, leaves no trace.
        """
        talk = self._talks.at(turn.site)
        talk.speech_began(answers=answers)
        matches = self.match(turn.transcript, turn.site)
        alike = (m for m in matches if m.intent == turn.intent and m.told == turn.slots)
        match = next(alike, None)
        player = self._cast.find(match.bound) if match is not None else None
        if match is None or player is None:
            talk.hushed()
            return
        run = match.bound.handler.run
        ask = ask_again(question, text, run) if question is not None else None
        talk.replied(match, turn.transcript, text, asks=ask is not None)
        try:
            if ask is not None:
                self._cast.adopt(_expect(talk, ask, match, player, turn.id), player)
        except HandlerFailedError as error:
            talk.hushed()
            _log.warning("a question of another engine is not understood", reason=str(error))

    @property
    def scheduled(self) -> tuple[str, ...]:
        """`plugin/name` of every callback that waits."""
        return self._cast.scheduled

    async def handle(self, matches: Sequence[Match], turn: Turn) -> HandlerResult | None:
        """Ask the handlers of `matches` in order until one answers; None if all decline.

        A handler that raises, is too slow or returns something else than an answer ends the
        search with its fallback or an apology, and `error`. Call between `start` and `stop`.
        """
        talk = self._talks.at(turn.site)
        resting = None
        if any(self._cast.find(match.bound) is None for match in matches):
            matches = self.match(turn.transcript, turn.site)  # reloaded since they were made
        for match in matches:
            player = self._cast.find(match.bound)
            if player is None:
                continue
            if player.rests(match) and match.bound.handler.fallback is None:
                resting = resting or match
                continue
            result = await self._ask(player, match, turn, talk)
            if result is not None:
                return result
        talk.hushed()
        if resting is None:
            return None
        text = f"The {resting.bound.plugin} plugin does not work just now."
        return HandlerResult(resting.intent, resting.told, text, resting.confidence)

    async def _ask(
        self, player: Player, match: Match, turn: Turn, talk: Conversation
    ) -> HandlerResult | None:
        seen = {
            "id": turn.id,
            "transcript": turn.transcript,
            "confidence": match.confidence,
            "intent": match.intent,
            "slots": match.slots,
            "answer": match.answer,
            "last_reply": turn.last_reply,
            "measure": turn.measure,
            "earlier": talk.earlier,
            "abilities": [each.plugin.about for each in self.plugins if each.plugin.about],
        }
        text, ask, error = "", None, None
        try:
            text, ask, error = await player.answer(match, turn.site, seen)
            if ask is not None:
                self._cast.adopt(_expect(talk, ask, match, player, turn.id), player)
        except HandlerFailedError as failure:
            text, error = f"The {match.bound.plugin} plugin failed.", str(failure)
            _log.error("plugin failed", plugin=match.bound.plugin, reason=error)
        if not text:
            return None
        talk.replied(match, turn.transcript, text, asks=ask is not None and error is None)
        return HandlerResult(match.intent, match.told, text, match.confidence, ask, error)


def _expect(
    talk: Conversation, ask: Ask, match: Match, player: Player, turn_id: str
) -> BoundHandler:
    try:
        return talk.asked(ask, match, turn_id, *player.grammar)
    except (TypeError, ValueError, NameError) as error:
        raise HandlerFailedError(
            f"{match.intent}: {error} at {match.bound.handler.source}"
        ) from error
