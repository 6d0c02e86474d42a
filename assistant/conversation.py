"""What was said before at one site, and what that makes of the next words."""

import inspect
import re
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from assistant import spoken
from assistant.answers import Ask
from assistant.courtesy import polite
from assistant.loading import BoundHandler
from assistant.matching import MAX_CHARS, Match, Matcher
from assistant.slots import SlotType, slot_types
from assistant.templates import Template, compile_template, declared_kinds
from assistant.tools import Earlier
from assistant.turn import Question
from assistant.wanted import wants

MAX_EARLIER = 8
CONTEXT_S = 60.0
"""How long "and in the kitchen" still continues what was said before."""
SPEAKING_S = 30.0
"""How long an answer that began in time may take to be spoken and understood."""
_ANYTHING = "{answer}"
_LEAD = re.compile(
    r"(?:and (?:what|how) about|what about|how about|and now|and then|and also|and|also"
    r"|the same|now|then|no|make (?:it|that)) "
)
_FILLER = frozenset("in on for at to of the a an my our by as well too also please same".split())


class _Question(NamedTuple):
    ask: Ask
    match: Match
    """What the handler had been asked when it asked back."""
    turn: str
    """In whose reply it was asked."""
    templates: tuple[Template, ...]
    matcher: Matcher
    until_s: float


class Conversation:
    """The last exchanges at one site. `now` gives seconds that never go back."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._earlier: deque[Earlier] = deque(maxlen=MAX_EARLIER)
        self._last: tuple[Match, float] | None = None
        self._question: _Question | None = None
        self._only: frozenset[str] | None = None

    def limit(self, intents: Collection[str] | None) -> None:
        """Want nothing but these intents from now on, as `wants` reads them; None for all."""
        self._only = None if intents is None else frozenset(intents)

    def wanted(self, matches: list[Match]) -> list[Match]:
        """Keep those whose intent is wanted."""
        return [each for each in matches if wants(self._only, each.intent)]

    @property
    def earlier(self) -> tuple[Earlier, ...]:
        """What was answered here, oldest first."""
        return tuple(self._earlier)

    def replied(self, match: Match, transcript: str, reply: str, *, asks: bool) -> None:
        """Note that a handler answered; unless it `asks`, an open question is then settled."""
        self._earlier.append(Earlier(transcript, match.intent, match.slots, reply))
        self._last = (match, self._now())
        if not asks:
            self._question = None

    def asked(
        self, ask: Ask, match: Match, turn: str, rules: Mapping[str, str], config: object
    ) -> BoundHandler:
        """Wait for the answer to `ask`; gives the handler that will take it.

        Raises `ValueError` or `TypeError` for expected answers that are no templates.
        """
        taker = _taker(ask, match.bound, rules, config)
        until_s = self._now() + ask.timeout
        self._question = _Question(ask, match, turn, taker.templates, Matcher([taker]), until_s)
        return taker

    def speech_began(self, *, answers: str = "") -> None:
        """Keep a question that is open until its answer has been spoken and understood.

        `answers` names the turn of the question that was open when the speech began, where whoever
        heard it knows; the news of it may be as late as the speech was long.
        """
        question, now = self._question, self._now()
        if question is None:
            return
        if answers and answers != question.turn:
            self._question = None
        elif now <= question.until_s + (SPEAKING_S if answers else 0.0):
            until_s = max(question.until_s, now + SPEAKING_S)
            self._question = question._replace(until_s=until_s)

    def hushed(self) -> None:
        """Note that something else was said: nobody answers the question any more."""
        self._question = None

    def expected(self, text: str, limit: int) -> list[str]:
        """Return expected answers that `text` may be mis-heard from."""
        question = self._open()
        return question.matcher.candidates(text, limit) if question and question.ask.expects else []

    def expected_templates(self) -> tuple[Template, ...]:
        """Give the templates of the expected answers."""
        question = self._open()
        return question.templates if question and question.ask.expects else ()

    def answers(self, text: str, *, exact: bool) -> list[Match]:
        """Read `text` as the answer to the open question."""
        question = self._open()
        if question is None:
            return []
        found = question.matcher.exact(text) if exact else question.matcher.fuzzy(text)
        return [_answer(question, match) for match in found[:1]]

    def continued(self, text: str) -> list[Match]:
        """Read "and in the kitchen" as what was said last, with other slots."""
        if self._last is None or self._now() - self._last[1] > CONTEXT_S or len(text) > MAX_CHARS:
            return []
        last, _ = self._last
        heard = spoken.key(polite(spoken.normalise(text))[1])
        lead = _LEAD.match(heard)
        said = lead and _other_slots(heard[lead.end() :], last)
        if not said:
            return []
        return [replace(last, slots={**last.slots, **said}, confidence=1.0, sentence=heard)]

    def _open(self) -> _Question | None:
        question = self._question
        return question if question is not None and self._now() <= question.until_s else None


def ask_again(question: Question, text: str, run: Callable[..., Any]) -> Ask | None:
    """Ask again what a handler, whose function is `run` here, asked elsewhere.

    None where its answer goes to a function that is not at the top of the handler's own file:
    others cannot know what such a function remembers.
    """
    if question.then is None:
        return Ask(text, question.expects, question.timeout_s)
    then = inspect.unwrap(run).__globals__.get(question.then)
    if not inspect.iscoroutinefunction(then) or then.__qualname__ != question.then:
        return None
    return Ask(text, question.expects, question.timeout_s, then)


def _taker(ask: Ask, bound: BoundHandler, rules: Mapping[str, str], config: object) -> BoundHandler:
    """Make the handler that takes the answer."""
    run = ask.then or bound.handler.run
    sources = tuple(ask.expects)
    kinds = declared_kinds((*sources, *bound.handler.templates), rules)
    types = slot_types(run, config, kinds)
    if not sources:
        sources, types = (_ANYTHING,), {"answer": slot_types(_anything, None)["answer"]}
    templates = tuple(compile_template(each, types, rules) for each in sources)
    handler = replace(bound.handler, run=run, templates=sources, examples={})
    return BoundHandler(bound.intent, bound.plugin, handler, templates)


async def _anything(turn: object, answer: str) -> None:
    """Stand for a handler that takes any words."""


def _answer(question: _Question, match: Match) -> Match:
    """Join the slots of the answer with those that the handler had."""
    takes = [*inspect.signature(match.bound.handler.run).parameters][1:]
    said = {**question.match.slots, **(match.slots if question.ask.expects else {})}
    slots = {name: value for name, value in said.items() if name in takes}
    return replace(match, slots=slots, answer=match.sentence)


def _other_slots(heard: str, last: Match) -> dict[str, Any]:
    """Read slots of the last handler, in any order; empty if anything else is said."""
    known = _FILLER | set(spoken.key(last.sentence).split())
    kinds: dict[str, SlotType] = {}
    for template in last.bound.templates:
        kinds |= {name: template.types[name] for name in template.slots}
    found: dict[str, Any] = {}
    place = 0
    while place < len(heard):
        for name, kind in kinds.items():
            if name in found or kind.wildcard:
                continue
            hit = re.compile(rf"(?:{kind.pattern})(?: |\Z)").match(heard, place)
            value = _read(kind.parse, hit[0].strip()) if hit else None
            if hit and value is not None:
                found[name], place = value, hit.end()
                break
        else:
            word, _, _ = heard[place:].partition(" ")
            if word not in known:
                return {}
            place += len(word) + 1
    return found


def _read(parse: Callable[[str], Any], words: str) -> Any:
    try:
        return parse(words)
    except Exception:  # noqa: BLE001 - a plugin's converter may raise anything
        return None
