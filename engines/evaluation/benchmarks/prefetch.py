"""Work done ahead in a thread, so that the engine finds its next item ready."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Ahead(Generic[R]):
    """Applies a function to each of a stream in a thread of its own, at most `room` ahead."""

    def __init__(self, work: Callable[[T], R], source: Iterable[T], room: int, name: str) -> None:
        self._queue: queue.Queue[tuple[R] | BaseException | None] = queue.Queue(room)
        self._stopped = threading.Event()
        self._ended = False
        self._thread = threading.Thread(
            target=self._run, args=(work, source), name=name, daemon=True
        )
        self._thread.start()

    def take(self, *, wait: bool) -> R | None:
        """The next result; None where none is ready yet, or, after waiting, where none is left.

        Raises what the work or the source raised.
        """
        if self._ended:
            return None
        try:
            found = self._queue.get(block=wait)
        except queue.Empty:
            return None
        if isinstance(found, tuple):
            return found[0]
        self._ended = True
        if found is not None:
            raise found
        return None

    @property
    def ended(self) -> bool:
        """Everything was taken."""
        return self._ended

    def __iter__(self) -> Iterator[R]:
        while (found := self.take(wait=True)) is not None:
            yield found

    def close(self) -> None:
        """Stop working, and wait for the thread."""
        self._stopped.set()
        self._ended = True
        self._thread.join()

    def _run(self, work: Callable[[T], R], source: Iterable[T]) -> None:
        end: BaseException | None = None
        try:
            for each in source:
                if not self._put((work(each),)):
                    return
        except BaseException as error:  # noqa: BLE001 - raised again where it is taken
            end = error
        self._put(end)

    def _put(self, value: tuple[R] | BaseException | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(value, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False
