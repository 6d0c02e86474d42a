"""CUDA graphs: a pass of hundreds of kernels becomes one launch.

A captured pass reads and writes fixed addresses, so its inputs are copied into buffers of its own
and every shape has a graph. It is captured when it is first met and replayed from then on.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

MOST = 32
"""Graphs that are kept; the one unused for longest is dropped."""
_WARM_UP = 3

_log = logging.getLogger(__name__)

Compute = Callable[..., Tensor]
_Pool = Any  # torch has no public name for its type
Capture = Callable[[Callable[[], Tensor]], tuple[Callable[[], None], Tensor]]
"""Records a computation: how to repeat it, and where its result lies."""


@cache
def _shared() -> tuple[_Pool, torch.cuda.CUDAGraph]:
    """Memory that all recordings share, since no two are replayed at once.

    With it comes a recording of nothing much: the memory goes away with the last one that uses it.
    """
    pool = torch.cuda.graph_pool_handle()
    graph, _ = _captured(lambda: torch.zeros(1, device="cuda"), pool)
    return pool, graph


def cuda_capture(compute: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    """Record what `compute` launches on the GPU."""
    here, side = torch.cuda.current_stream(), torch.cuda.Stream()
    side.wait_stream(here)
    try:
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP):  # libraries allocate their workspaces at the first calls
                compute()
    finally:
        here.wait_stream(side)
    graph, output = _captured(compute, _shared()[0])
    return graph.replay, output


def _captured(compute: Callable[[], Tensor], pool: _Pool) -> tuple[torch.cuda.CUDAGraph, Tensor]:
    """Record what has run before; where that fails, leave the stream and the allocator as found."""
    here, graph = torch.cuda.current_stream(), torch.cuda.CUDAGraph()
    try:
        # the encoder may allocate on another thread meanwhile, which is no concern of this
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            output = compute()
    except BaseException:
        # torch up to 2.12 forgets this, and then frees nothing more of what it has cached
        with suppress(RuntimeError):  # how one refuses it that was told already
            torch._C._cuda_endAllocateToPool(torch.cuda.current_device(), pool)  # noqa: SLF001
        raise
    finally:
        torch.cuda.set_stream(here)  # torch stays on the recording's own if that cannot be ended
    return graph, output


@dataclass(frozen=True, slots=True)
class _Recorded:
    inputs: list[Tensor]
    replay: Callable[[], None]
    output: Tensor


class Graphs:
    """Calls a function of tensors through recordings, one for each set of shapes and settings.

    What cannot be recorded is computed plainly. What a call returns is overwritten by the next, so
    it has to be read before.
    """

    def __init__(self, compute: Compute, capture: Capture, device: torch.device) -> None:
        """Compute on `device`, wherever the tensors of a call are."""
        self._compute, self._capture, self._device = compute, capture, device
        self._recorded: OrderedDict[Hashable, _Recorded | None] = OrderedDict()
        self._able, self._warned = True, False

    def forget(self) -> None:
        """Drop all recordings, because memory that they use has moved."""
        self._recorded.clear()

    def __call__(self, *tensors: Tensor, **settings: Hashable) -> Tensor:
        """Compute with `tensors`; the `settings` are part of the recording."""
        key = (tuple(settings.items()), *(tuple(each.shape) for each in tensors))
        if key not in self._recorded:
            if len(self._recorded) >= MOST:
                self._recorded.popitem(last=False)
            self._recorded[key] = self._record(tensors, settings)
        self._recorded.move_to_end(key)
        recorded = self._recorded[key]
        if recorded is None:
            return self._compute(*(each.to(self._device) for each in tensors), **settings)
        for buffer, tensor in zip(recorded.inputs, tensors, strict=True):
            buffer.copy_(tensor)
        recorded.replay()
        return recorded.output

    def _record(
        self, tensors: tuple[Tensor, ...], settings: dict[str, Hashable]
    ) -> _Recorded | None:
        """Record for new shapes, or say once that it cannot be and why."""
        if not self._able:
            return None
        try:
            inputs = [each.to(self._device, copy=True) for each in tensors]
            return _Recorded(inputs, *self._capture(lambda: self._compute(*inputs, **settings)))
        except Exception as error:  # noqa: BLE001 - a mistake of `compute` comes up again without
            # want of memory says nothing of smaller shapes, anything else is tried no more
            self._able = isinstance(error, torch.OutOfMemoryError)
            if not self._warned:
                reason = (str(error) or type(error).__name__).splitlines()[0]
                _log.warning("passes run without CUDA graphs, which is slower: %s", reason)
            self._warned = True
            return None
