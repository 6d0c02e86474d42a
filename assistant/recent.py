"""A memory that forgets its oldest."""

from typing import Generic, TypeVar

_K = TypeVar("_K")
_V = TypeVar("_V")


class Recent(Generic[_K, _V]):
    """A mapping of at most `limit` keys: one more pushes out the one that was put longest ago."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: dict[_K, _V] = {}

    def __contains__(self, key: object) -> bool:
        return key in self._kept

    def put(self, key: _K, value: _V) -> None:
        """Remember it as the newest."""
        self._kept.pop(key, None)
        self._kept[key] = value
        if len(self._kept) > self._limit:
            del self._kept[next(iter(self._kept))]

    def get(self, key: _K) -> _V | None:
        """What was put, if it is still remembered."""
        return self._kept.get(key)

    def drop(self, key: _K) -> None:
        """Forget it."""
        self._kept.pop(key, None)
