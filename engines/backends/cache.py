"""Keys and values of all requests, in one preallocated block of memory."""

import torch
from torch import Tensor

from engines.backends import rounded_up
from engines.fused import fused_keep
from engines.memory import NotEnoughMemoryError, size_of
from engines.shapes import LLaDAConfig

SLOTS = 256
"""Positions are added by so many at a time."""


class KeyValues:
    """A row for each request, a slot for each position: [layers, rows, slots, K, D].

    The memory stays where it is until a request needs more than there is; then all of it moves
    and `moves` counts up.
    """

    def __init__(
        self,
        config: LLaDAConfig,
        *,
        dtype: torch.dtype,
        device: torch.device,
        rows: int = 0,
        positions: int = 0,
    ) -> None:
        """Make room for so many requests of so many positions."""
        self.moves = 0
        self._free: list[int] = []
        shape = (config.n_layers, 0, 0, config.kv_heads, config.head_dim)
        self.k = torch.zeros(shape, dtype=dtype, device=device)
        self.v = torch.zeros_like(self.k)
        if rows:
            self._grow(rows, _rounded(positions))

    @property
    def trash(self) -> int:
        """A slot that no request reads: what padding writes to."""
        return self.k.shape[2] - 1

    def take(self, length: int) -> int:
        """Return a free row of at least `length` positions."""
        more_slots = max(0, _rounded(length) - self.k.shape[2])
        more_rows = 0 if self._free else max(1, self.k.shape[1])
        if more_slots or more_rows:
            self._grow(more_rows, more_slots)
        return self._free.pop()

    def give(self, rows: list[int]) -> None:
        """Take rows back; the lowest is handed out first: a compact batch is a view."""
        self._free = sorted([*self._free, *rows], reverse=True)

    def copy(self, source: list[int], target: list[int], length: int) -> None:
        """Copy the first `length` positions of some rows to others."""
        for cache in (self.k, self.v):
            cache[:, target, :length] = cache[:, source, :length]

    def _grow(self, more_rows: int, more_slots: int) -> None:
        layers, rows, slots, *head = self.k.shape
        shape = (layers, rows + more_rows, slots + more_slots, *head)
        try:
            grown = [self.k.new_zeros(shape) for _ in range(2)]
        except RuntimeError as error:  # torch has no class for it on the CPU
            size = 2 * torch.Size(shape).numel() * self.k.element_size()
            raise NotEnoughMemoryError(
                f"{shape[1]} requests of {shape[2]} positions need {size_of(size)} for keys and "
                f"values, which {self.k.device.type} has not free; ask for fewer tokens"
            ) from error
        for new, old in zip(grown, (self.k, self.v), strict=True):
            new[:, :rows, :slots] = old
        self.k, self.v = grown
        self.moves += 1
        self.give(list(range(rows, rows + more_rows)))


def _rounded(length: int) -> int:
    """Whole steps of slots, one of them for what padding writes."""
    return rounded_up(length + 1, SLOTS)


class PassView:
    """One pass's view: writes what was computed, returns all there is to attend to."""

    def __init__(
        self, cache: KeyValues, rows: Tensor, slots: Tensor, first: int | None, length: int
    ) -> None:
        """`rows` [B], `slots` [B, L]; `first` is the first of rows that follow each other."""
        self.k, self.v, self.rows, self.slots, self.length = cache.k, cache.v, rows, slots, length
        self.select = rows if first is None else slice(first, first + len(rows))

    def update(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store [B, K, L, D]; return [B, K, S, D]."""
        kept = self.k[layer], self.v[layer]
        fused_keep(*kept, self.rows, self.slots, k, v)
        k, v = (each[self.select, : self.length].transpose(1, 2) for each in kept)
        return k, v
