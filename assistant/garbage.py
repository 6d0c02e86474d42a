"""Python's search for garbage, put off while much is loaded that stays."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_search() -> Iterator[None]:
    """Look for no garbage meanwhile.

    What is loaded stays, and every search would walk all of it again: a fifth of a start is spent
    so. Afterwards it counts as old, so that the next search has no more to walk than what is new.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # which moves all there is without looking at it
        gc.unfreeze()
        if was_on:
            gc.enable()
