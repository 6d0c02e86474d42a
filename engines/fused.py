"""Small steps of a layer that a GPU does in one launch: torch compiles them when first needed."""

import logging
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

_log = logging.getLogger(__name__)


class Fused:
    """A function of tensors, compiled for any of their sizes; plain where that fails."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self._plain = function
        self._run: Callable[..., Tensor] | None = None

    def __call__(self, *tensors: Tensor) -> Tensor:
        """Compute it."""
        if self._run is None:
            self._run = torch.compile(self._plain, dynamic=True)
        try:
            return self._run(*tensors)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            if self._run is self._plain or _recording(*tensors):
                raise
            reason = (str(error) or type(error).__name__).splitlines()[0]
            _log.warning("%s is not compiled, which is slower: %s", self._plain.__name__, reason)
            self._run = self._plain
            return self._plain(*tensors)


def _recording(tensor: Tensor, *_: Tensor) -> bool:
    """Whether a CUDA graph is being captured, whose failure tells nothing of the compiler."""
    return tensor.is_cuda and torch.cuda.is_current_stream_capturing()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Apply rotary positions to `x` [B, H, L, D], in float32."""
    wide = x.float()
    left, right = wide.chunk(2, dim=-1)
    return (wide * cos + torch.cat([-right, left], dim=-1) * sin).to(x.dtype)


def gate(both: Tensor) -> Tensor:
    """Let `both` [..., 2 h], gates and what they let through, become [..., h]."""
    gates, through = both.chunk(2, dim=-1)
    return functional.silu(gates) * through


fused_rotate, fused_gate = Fused(rotate), Fused(gate)
