"""Hermes' natural language understanding: words in, an intent out, and nothing is done about it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from assistant.hermes import topics, words
from assistant.hermes.wishes import Query


class Match(Protocol):
    """A handler that understands some words."""

    @property
    def intent(self) -> str:
        """`plugin.handler`."""
        ...

    @property
    def told(self) -> Mapping[str, Any]:
        """Its slots, ready for JSON."""
        ...

    @property
    def confidence(self) -> float:
        """How sure it is, 0 to 1."""
        ...


class Recogniser:
    """Answers `hermes/nlu/query`; those who asked act on the intent, the plugins do not."""

    def __init__(self, site: str, tell: Callable[[str, words.Payload], None]) -> None:
        """`tell` publishes."""
        self._site, self._tell = site, tell
        self._match: Callable[[str], Sequence[Match]] | None = None
        self._limit: Callable[[Collection[str] | None], None] = lambda _: None

    def connect(
        self,
        limit: Callable[[Collection[str] | None], None],
        match: Callable[[str], Sequence[Match]] | None = None,
    ) -> None:
        """See `Bridge.connect`."""
        self._limit, self._match = limit, match

    def limit(self, intents: Collection[str] | None) -> None:
        """Let nothing but these intents be answered at this site; None for all."""
        self._limit(intents)

    def query(self, query: Query) -> None:
        """Say which intent the words are."""
        about = {"id": query.id, "siteId": self._site, "sessionId": query.session}
        if self._match is None:
            reason = "there are no plugins here, or not yet: ask an engine"
            self._tell(topics.NLU_FAILED, {"error": reason, "context": query.input, **about})
            return
        wanted = query.intent_filter
        found = (m for m in self._match(query.input) if wanted is None or m.intent in wanted)
        match = next(found, None)
        if match is None:
            told = {"input": query.input, "customData": query.custom_data, **about}
            self._tell(topics.NOT_RECOGNIZED, told)
            return
        parsed = words.parsed(query.input, match.intent, match.confidence, match.told)
        self._tell(topics.PARSED, parsed | about)
        heard = words.heard(query.input, 1.0 if query.sure is None else query.sure)
        told = {"customData": query.custom_data, "wakewordId": query.wake_word}
        self._tell(topics.intent(match.intent), parsed | heard | told | about)
