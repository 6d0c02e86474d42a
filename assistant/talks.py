"""The conversations of every site, and the one that is listened to now."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from assistant.conversation import Conversation

MAX_SITES = 64

_HEARING: ContextVar[str] = ContextVar("hearing", default="")


class Talks:
    """One conversation for each site; of too many, the one that began first is forgotten."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` gives seconds that never go back."""
        self._now = now
        self._talks: dict[str, Conversation] = {}
        self._last: Conversation | None = None

    @property
    def current(self) -> Conversation | None:
        """That of the site that is heard on this thread; of the last turn, where none is."""
        site = _HEARING.get()
        return self._talks.get(site) if site else self._last

    def find(self, site: str) -> Conversation | None:
        """That of a site, if there was any; the current one where no site is named."""
        return self._talks.get(site) if site else self.current

    def at(self, site: str) -> Conversation:
        """That of a site, which may begin now."""
        if site not in self._talks and len(self._talks) >= MAX_SITES:
            del self._talks[next(iter(self._talks))]
        self._last = self._talks.setdefault(site, Conversation(self._now))
        return self._last

    @contextmanager
    def hearing(self, site: str) -> Iterator[None]:
        """Within it, and on this thread, the conversation of `site` is the current one."""
        token = _HEARING.set(site)
        try:
            yield
        finally:
            _HEARING.reset(token)

    def clear(self) -> None:
        """Forget everything that was said."""
        self._talks.clear()
        self._last = None
