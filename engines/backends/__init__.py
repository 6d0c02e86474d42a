"""What decoding needs of a language model: room for a request, and passes.

Positions count from the start of the response; the context lies at negative ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engines.schedule import Floats, Schedule

Ids = NDArray[np.int64]

NOT_FINITE = "the sound's embeddings are not all finite numbers; is the audio?"


class RequestError(ValueError):
    """A request that this model or backend cannot decode: one line that says why."""


@dataclass(frozen=True, slots=True)
class Context:
    """What the model sees before its response."""

    prompt: tuple[int, ...]
    prefix: Any = None
    """Audio embeddings [P, d], in whatever form the backend takes, or none."""
    prefix_at: int = 0
    """Prompt tokens that come before the prefix."""

    def __len__(self) -> int:
        return len(self.prompt) + (0 if self.prefix is None else len(self.prefix))


@dataclass(frozen=True, slots=True)
class Query:
    """One request's share of a pass."""

    state: Any
    response: Ids
    """The response so far, masks included."""
    begin: int
    """First position to compute; the length of the context below zero for all of it."""
    end: int
    """First position not to compute."""
    active: Ids
    """Positions to propose a token for."""
    targets: Ids | None = None
    """Tokens to weigh at the active positions instead of the most probable ones."""
    temperature: float = 0.0
    seed: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A token for each active position."""

    tokens: Ids
    log_probability: Floats


class Backend(Protocol):
    """A language model on some device."""

    mask_id: int
    block_causal: bool
    """A position sees the context, the blocks before its own, and its own; else everything."""

    def admit(self, context: Context, schedule: Schedule) -> Any:
        """Make room for a request; its context is computed along with its first block.

        Raises `RequestError` for what cannot be decoded, and `NotEnoughMemoryError`.
        """

    def fork(self, state: Any) -> Any:
        """Duplicate a state, with the keys and values computed so far."""

    def release(self, state: Any) -> None:
        """Give the room back."""

    def propose(self, queries: Sequence[Query]) -> list[Proposal]:
        """Run one pass: compute `begin` to `end` of each query, attending to what is computed.

        Keys and values of computed positions replace those of earlier passes.
        """


def gumbel(query: Query, vocabulary: int) -> Floats:
    """Draw the noise of one query, scaled by its temperature: [active, vocabulary]."""
    shape = (len(query.active), vocabulary)
    if not query.temperature:
        return np.zeros(shape, dtype=np.float32)
    uniform = np.random.default_rng(query.seed).random(shape, dtype=np.float32)
    noise: Floats = -np.log(-np.log(uniform + np.float32(1e-12)))
    return noise * np.float32(query.temperature)


def rounded_up(count: int, step: int) -> int:
    """`count`, rounded up to whole steps."""
    return -(-count // step) * step
