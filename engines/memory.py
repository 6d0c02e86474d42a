"""How much memory a model needs, and which precision would fit.

Estimates of what lies in memory at once: weights, keys and values of two requests, one pass.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

from engines.checkpoints import CheckpointError
from engines.shapes import LLaDAConfig

Precision = Literal["float32", "bfloat16", "int8", "int4"]
Quantise = Literal["none", "int8", "int4"]
FreeBytes = Callable[[str], int | None]
"""Memory that is free on `cpu` or `cuda`, or none if that is not known."""

GB = 1_000_000_000
BYTES: dict[Precision, float] = {"float32": 4, "bfloat16": 2, "int8": 1, "int4": 0.5 + 4 / 128}
"""Of a number in a matrix; int4 has a scale and an offset for every 128."""
_GROUP, _GROUP_FILES = Path("/sys/fs/cgroup"), ("memory.max", "memory.current")
_REQUESTS, _POSITIONS, _ACTIVE = 2, 1024, 64


class NotEnoughMemoryError(CheckpointError):
    """One line: how much is needed, how much there is, and what would fit."""


def lm_bytes(lm: LLaDAConfig, precision: Precision) -> int:
    """Memory of the language model and of a turn's work in it."""
    table = lm.d_model * lm.embedding_size
    # quantised or not, the embedding is a table that rows are taken from
    whole = 4 if precision == "float32" else 2
    weights = table * whole + (lm.parameters - table) * BYTES[precision]
    cached = 2 * lm.n_layers * lm.kv_heads * lm.head_dim * _REQUESTS * _POSITIONS * whole
    logits = _ACTIVE * lm.embedding_size * 4 * 3
    return round(weights + cached + logits)


def options(lm: LLaDAConfig, device: str) -> dict[Precision, int]:
    """Return the precisions that a device can run, most exact first, with their bytes."""
    known: tuple[Precision, ...] = ("bfloat16", "int8", "int4")
    if device == "cpu":
        known = ("float32", "bfloat16", "int8")
    return {precision: lm_bytes(lm, precision) for precision in known}


def free_bytes(device: str) -> int | None:
    """Read how much memory is free; within a container's limit, where there is one."""
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    free: list[int] = []
    with suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    with suppress(OSError, ValueError):  # the limit is the word max where there is none
        limit, used = (int((_GROUP / name).read_text("ascii")) for name in _GROUP_FILES)
        free.append(limit - used)
    return min(free, default=None)


def check_memory(
    what: str,
    needed: int,
    device: str,
    *,
    smaller: dict[Precision, int] | None = None,
    free: FreeBytes = free_bytes,
) -> None:
    """Raise `NotEnoughMemoryError` unless `needed` bytes are free on the device.

    `smaller` are the quantisations that could be chosen instead, with their bytes.
    """
    there = free(device)
    if there is None or needed <= there:
        return
    fits = [name for name, size in (smaller or {}).items() if size <= min(there, needed - 1)]
    sizes = ", ".join(f"{name} {size_of(size)}" for name, size in (smaller or {}).items())
    remedy = "a smaller model or more memory is needed"
    if fits:
        remedy = f'{fits[0]} would fit: set engine.quantise = "{fits[0]}"'
    elif sizes:
        remedy = f"nothing smaller would fit ({sizes})"
    raise NotEnoughMemoryError(
        f"{what} needs about {size_of(needed)} of memory on {device}, "
        f"{size_of(there)} is free; {remedy}"
    )


def size_of(count: int) -> str:
    """Render a number of bytes."""
    return f"{count / GB:.1f} GB" if count >= GB else f"{count / GB * 1000:.1f} MB"
