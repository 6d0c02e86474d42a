"""CUDA graphs: a pass of hundreds of kernels becomes one launch.

A captured pass reads and writes fixed addresses, so its inputs are copied into buffers of its own
and every shape has a graph. It is captured when it is first met and replayed from then on.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

MOST = 32
"""Graphs that are kept; the one unused for longest is dropped."""
_WARM_UP = 3

_log = logging.getLogger(__name__)

Compute = Callable[..., Tensor]
Capture = Callable[[Callable[[], Tensor]], tuple[Callable[[], None], Tensor]]
"""Records a computation: how to repeat it, and where its result lies."""


@cache
def _first() -> torch.cuda.CUDAGraph:
    """A recording of nothing much, whose memory all others share: no two are replayed at once.

    It is kept, because that memory goes away with the last recording that uses it.
    """
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        torch.zeros(1, device="cuda")
    return graph


def cuda_capture(compute: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    """Record what `compute` launches on the GPU."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(_WARM_UP):  # libraries allocate their workspaces at the first calls
            compute()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    # the encoder may allocate on another thread meanwhile, which is no concern of this recording
    with torch.cuda.graph(graph, pool=_first().pool(), capture_error_mode="thread_local"):
        output = compute()
    return graph.replay, output


@dataclass(frozen=True, slots=True)
class _Recorded:
    inputs: list[Tensor]
    replay: Callable[[], None]
    output: Tensor


class Graphs:
    """Calls a function of tensors through recordings, one for each set of shapes and settings.

    What it returns is overwritten by the next call, so it has to be read before.
    """

    def __init__(self, compute: Compute, capture: Capture) -> None:
        self._compute, self._capture = compute, capture
        self._recorded: OrderedDict[Hashable, _Recorded] = OrderedDict()
        self._able = True

    def forget(self) -> None:
        """Drop all recordings, because memory that they use has moved."""
        self._recorded.clear()

    def __call__(self, *tensors: Tensor, **settings: Hashable) -> Tensor:
        """Compute with `tensors`; the `settings` are part of the recording."""
        key = (tuple(settings.items()), *(tuple(each.shape) for each in tensors))
        recorded = self._recorded.get(key) or self._record(key, tensors, settings)
        if recorded is None:
            return self._compute(*tensors, **settings)
        self._recorded.move_to_end(key)
        for buffer, tensor in zip(recorded.inputs, tensors, strict=True):
            buffer.copy_(tensor)
        recorded.replay()
        return recorded.output

    def _record(
        self, key: Hashable, tensors: tuple[Tensor, ...], settings: dict[str, Hashable]
    ) -> _Recorded | None:
        """Record for new shapes; give up for good, loudly, if the device cannot."""
        if not self._able:
            return None
        inputs = [each.clone() for each in tensors]
        try:
            replay, output = self._capture(lambda: self._compute(*inputs, **settings))
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            _log.warning("passes run without CUDA graphs, which is slower: %s", reason)
            self._able = False
            return None
        if len(self._recorded) >= MOST:
            self._recorded.popitem(last=False)
        self._recorded[key] = _Recorded(inputs, replay, output)
        return self._recorded[key]
