"""Small steps of a layer that a GPU does in one launch: torch compiles them when first needed."""

import logging
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_VARIANTS = 32
"""Of one function: with and without a batch, each in two types, inside inference mode and not."""

_log = logging.getLogger(__name__)


class Fused:
    """A function of tensors, compiled for any of their sizes; plain where that fails."""

    def __init__(self, function: Callable[..., Any], name: str = "") -> None:
        self._plain = function
        self._name = name or function.__name__
        self._run: Callable[..., Any] | None = None

    def __call__(self, *tensors: Tensor) -> Any:
        """Compute it."""
        if self._run is None:
            self._run = _compiled(self._plain)
        try:
            return self._run(*tensors)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            if self._run is self._plain or _recording(*tensors):
                raise
            reason = (str(error) or type(error).__name__).splitlines()[0]
            _log.warning("%s is not compiled, which is slower: %s", self._name, reason)
            self._run = self._plain
            return self._plain(*tensors)


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    from torch._dynamo import config  # a second, which nobody without a GPU needs to wait

    config.recompile_limit = max(config.recompile_limit, _VARIANTS)
    return torch.compile(function, dynamic=True)


def _recording(tensor: Tensor, *_: Tensor) -> bool:
    """Whether a CUDA graph is being captured, whose failure tells nothing of the compiler."""
    return tensor.is_cuda and torch.cuda.is_current_stream_capturing()


def _on_gpu(function: Callable[..., Any], name: str = "") -> Callable[..., Any]:
    """Compile `function` where a GPU computes and nothing is to be learned from it."""
    compiled = Fused(function, name)

    def run(*tensors: Tensor) -> Any:
        fast = tensors[0].is_cuda and not torch.is_grad_enabled()
        return (compiled if fast else function)(*tensors)

    return run


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Apply rotary positions to `x` [B, H, L, D], in float32."""
    wide = x.float()
    left, right = wide.chunk(2, dim=-1)
    return (wide * cos + torch.cat([-right, left], dim=-1) * sin).to(x.dtype)


def gate(both: Tensor) -> Tensor:
    """Let `both` [..., 2 h], gates and what they let through, become [..., h]."""
    gates, through = both.chunk(2, dim=-1)
    return functional.silu(gates) * through


def norm(x: Tensor, weight: Tensor, *, eps: float) -> Tensor:
    """Divide `x` [..., d] by its root mean square, computed in float32 whatever the input."""
    wide = x.float()
    wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)
    return weight * wide.to(x.dtype)


def add_norm(x: Tensor, more: Tensor, weight: Tensor, *, eps: float) -> tuple[Tensor, Tensor]:
    """Return `x + more`, and that normalised."""
    total = x + more
    return total, norm(total, weight, eps=eps)


def keep(  # noqa: PLR0917 - twice the same, in one launch
    kept_k: Tensor, kept_v: Tensor, rows: Tensor, slots: Tensor, k: Tensor, v: Tensor
) -> None:
    """Write `k` and `v` [B, K, L, D] to `rows` [B] and `slots` [B, L] of what is kept.

    That is [R, S, K, D] each.
    """
    for place, new in ((kept_k, k), (kept_v, v)):
        place[rows[:, None], slots] = new.transpose(1, 2).to(place.dtype)


def surest(scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the likeliest id of each position of [..., V] and its score, both [..., 1].

    The third is how likely all others are beside it, [...]: minus the logarithm of one more is its
    log-probability, exact near certainty, where float32 would round the probability to one.
    """
    top, best = scores.max(dim=-1, keepdim=True)
    others = torch.arange(scores.shape[-1], device=scores.device) != best
    return best, top, torch.where(others, (scores - top).exp(), 0.0).sum(dim=-1)


def tell(logits: Tensor, barred: Tensor) -> Tensor:
    """Return the likeliest id of each position of [..., V], and its log-probability: [2, ...].

    `barred` [V] is minus infinity for ids that may not be proposed, else zero.
    """
    best, _, rest = surest(logits.float() + barred)
    return torch.stack([best[..., 0].float(), -rest.log1p()])


fused_rotate, fused_gate = _on_gpu(rotate), _on_gpu(gate)
fused_keep, fused_tell = _on_gpu(keep), _on_gpu(tell)


@cache
def fused_add_norm(eps: float) -> Callable[..., Any]:
    """`add_norm` for such an `eps`, which compilers take better as a number than as an input."""
    return _on_gpu(partial(add_norm, eps=eps), add_norm.__name__)
