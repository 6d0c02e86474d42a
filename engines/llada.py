"""LLaDA, the masked diffusion language model (arXiv 2502.09992): a Llama without the causal mask.

Parameter names are the published ones, so a published checkpoint loads with `load_state_dict`.
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.fused import (
    fused_add_norm,
    fused_gate,
    fused_rotate,
    norm,
    rotate,
    surest,
)
from engines.shapes import LLaDAConfig

# cuDNN plans its attention anew for every shape, which takes longer than the pass itself
torch.backends.cuda.enable_cudnn_sdp(False)

__all__ = ["Cache", "LLaDA", "LLaDAConfig", "propose_tokens", "rotate"]


class Cache(Protocol):
    """Where a layer's keys and values go, and what the layer attends to instead."""

    def update(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store this pass's `k` and `v` [B, H, L, D]; return all to attend to [B, H, S, D]."""


class RMSNorm(nn.Module):
    """Root-mean-square norm, computed in float32 whatever the input."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last dimension of `x`."""
        if x.is_cuda:  # one kernel, where the lines below are eight
            return functional.rms_norm(x, self.weight.shape, self.weight, self.eps)
        return norm(x, self.weight, eps=self.eps)

    def add(self, x: Tensor, more: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return `x + more`, and that normalised; `more` may be nothing."""
        if more is None:
            return x, self(x)
        total, normed = fused_add_norm(self.eps)(x, more, self.weight)
        return total, normed


def rotary_angles(positions: Tensor, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosine and sine [B, 1, L, head_dim] in float32 for `positions` [B, L]."""
    even = torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float32)
    angles = positions[:, None, :, None].float() * (1.0 / theta ** (even / head_dim))
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos(), angles.sin()


def propose_tokens(
    logits: Tensor, targets: Tensor, noise: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Pick a token for each position and weigh it: ids and log-probabilities [...].

    `logits` are [..., V]; a target of -1 asks for the most probable token, `noise` added, and
    any other for itself.
    """
    best, top, rest = surest(logits)
    picked = best if noise is None else (logits + noise).argmax(dim=-1, keepdim=True)
    tokens = torch.where(targets[..., None] >= 0, targets[..., None], picked)
    log_probability = (logits.gather(-1, tokens) - top)[..., 0] - rest.log1p()
    return tokens[..., 0], log_probability


class Block(nn.Module):
    """Pre-norm attention and gated MLP.

    What the MLP gives is not added here: the next norm does both in one step.
    """

    def __init__(self, config: LLaDAConfig) -> None:
        super().__init__()
        d, hidden, eps = config.d_model, config.mlp_hidden_size, config.rms_norm_eps
        self.head_dim = config.head_dim
        self.shared = config.n_heads // config.kv_heads
        narrow = config.kv_heads * config.head_dim
        self.attn_norm = RMSNorm(d, eps)
        self.q_proj = nn.Linear(d, d, bias=False)
        self.k_proj = nn.Linear(d, narrow, bias=False)
        self.v_proj = nn.Linear(d, narrow, bias=False)
        self.attn_out = nn.Linear(d, d, bias=False)
        self.ff_norm = RMSNorm(d, eps)
        self.ff_proj = nn.Linear(d, hidden, bias=False)
        self.up_proj = nn.Linear(d, hidden, bias=False)
        self.ff_out = nn.Linear(hidden, d, bias=False)
        self._qkv: Tensor | None = None
        self._gates: Tensor | None = None

    def join(self) -> None:
        """Lay matrices that read the same input side by side, so that one product reads them all.

        They stay what they are, as views. Not for quantised ones, nor before they are in place.
        """
        self._qkv = _joined(self.q_proj, self.k_proj, self.v_proj)
        self._gates = _joined(self.ff_proj, self.up_proj)

    def heads(self, x: Tensor) -> Tensor:
        """Split the channels of `x` [B, L, d] into heads."""
        return x.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)  # [B, H, L, D]

    def project(self, h: Tensor, angles: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries [B, H, L, D], keys and values [B, K, L, D], positions applied.

        `h` [B, L, d] has gone through `attn_norm`.
        """
        if self._qkv is None:
            q, k, v = (self.heads(proj(h)) for proj in (self.q_proj, self.k_proj, self.v_proj))
            return rotate(q, *angles), rotate(k, *angles), v
        made = self.heads(functional.linear(h, self._qkv))
        shared = self.k_proj.out_features // self.head_dim
        turned = fused_rotate(made[:, :-shared], *angles)
        return turned[:, :-shared], turned[:, -shared:], made[:, -shared:]

    def finish(
        self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Attend, then the MLP: `x` with what attention adds, and what the MLP will add."""
        if self.shared > 1:
            k, v = (each.repeat_interleave(self.shared, dim=1) for each in (k, v))
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)  # [B, H, L, D]
        x, h = self.ff_norm.add(x, self.attn_out(attended.transpose(1, 2).flatten(2)))
        if self._gates is None:
            return x, self.ff_out(functional.silu(self.ff_proj(h)) * self.up_proj(h))
        return x, self.ff_out(fused_gate(functional.linear(h, self._gates)))

    def forward(
        self,
        x: Tensor,
        more: Tensor | None,
        angles: tuple[Tensor, Tensor],
        mask: Tensor | None = None,
        remember: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Turn `x` and `more` [B, L, d], whose sum is the stream, into the same after this layer.

        `remember` is a layer's cache.
        """
        x, h = self.attn_norm.add(x, more)
        q, k, v = self.project(h, angles)
        if remember is not None:
            k, v = remember(k, v)
        return self.finish(x, q, k, v, mask)


def _joined(*parts: nn.Linear) -> Tensor | None:
    """Copy matrices into one; nothing where they are quantised."""
    if any(type(part.weight.data) is not Tensor for part in parts):
        return None
    whole = torch.cat([part.weight.data for part in parts])
    for part, rows in zip(parts, whole.split([len(part.weight) for part in parts]), strict=True):
        part.weight.data = rows
    return whole


class _Transformer(nn.Module):
    """Embedding, blocks, norm and head."""

    def __init__(self, config: LLaDAConfig) -> None:
        super().__init__()
        self.wte = nn.Embedding(config.embedding_size, config.d_model)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.ln_f = RMSNorm(config.d_model, config.rms_norm_eps)
        self.ff_out = nn.Linear(config.d_model, config.embedding_size, bias=False)


class _Model(nn.Module):
    """The level the published names begin with."""

    def __init__(self, config: LLaDAConfig) -> None:
        super().__init__()
        self.transformer = _Transformer(config)


class LLaDA(nn.Module):
    """The model. Attention is bidirectional unless a mask says otherwise.

    Masks are boolean, [B or 1, 1, L, S], True where a position may be attended to.
    """

    def __init__(self, config: LLaDAConfig) -> None:
        super().__init__()
        self.config = config
        self.model = _Model(config)

    @property
    def blocks(self) -> list[Block]:
        """The layers, first to last."""
        return [block for block in self.model.transformer.blocks if isinstance(block, Block)]

    def init_weights(self, std: float = 0.02) -> None:
        """Draw normal weights; projections back into the residual stream shrink with depth."""
        for parameter in self.parameters():
            if parameter.ndim == 1:
                nn.init.ones_(parameter)
            else:
                nn.init.normal_(parameter, std=std)
        for block in self.blocks:
            for projection in (block.attn_out, block.ff_out):
                nn.init.normal_(projection.weight, std=std * (2 * self.config.n_layers) ** -0.5)

    def embed(self, ids: Tensor) -> Tensor:
        """Return token embeddings [B, L, d] of `ids` [B, L]."""
        return self.model.transformer.wte(ids)

    def logits(self, hidden: Tensor) -> Tensor:
        """Return scores over the vocabulary [..., V] of `hidden` [..., d]."""
        return self.model.transformer.ff_out(hidden)

    def angles(self, x: Tensor, positions: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the rotary cosine and sine for `x` [B, L, d]."""
        if positions is None:
            positions = torch.arange(x.shape[1], device=x.device)[None]
        return rotary_angles(positions, self.config.head_dim, self.config.rope_theta)

    def forward(
        self,
        embeddings: Tensor,
        *,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """Return hidden states [B, L, d], after the last norm, of `embeddings` [B, L, d].

        `positions` [B or 1, L] defaults to 0, 1, 2 and so on; with a `cache`, keys and values
        of this pass are stored there and what it returns is attended to.
        """
        x, more = embeddings, None
        angles = self.angles(x, positions)
        for layer, block in enumerate(self.blocks):
            remember = None if cache is None else partial(cache.update, layer)
            x, more = block(x, more, angles, mask, remember)
        return self._last(x, more)

    def forward_cached(
        self, embeddings: Tensor, past_k: Tensor, past_v: Tensor, positions: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Do the same without side effects, for export.

        `past_k`, `past_v` [layers, B, H, P, D] come before this pass's keys; `mask` covers
        P + L. Returns hidden [B, L, d] and this pass's own k, v [layers, B, H, L, D].
        """
        x, more = embeddings, None
        angles = self.angles(x, positions)
        keys, values = [], []
        for layer, block in enumerate(self.blocks):
            x, h = block.attn_norm.add(x, more)
            q, k, v = block.project(h, angles)
            keys.append(k)
            values.append(v)
            k, v = torch.cat([past_k[layer], k], dim=2), torch.cat([past_v[layer], v], dim=2)
            x, more = block.finish(x, q, k, v, mask)
        return self._last(x, more), torch.stack(keys), torch.stack(values)

    def _last(self, x: Tensor, more: Tensor | None) -> Tensor:
        """Normalise the stream after the last layer."""
        _, hidden = self.model.transformer.ln_f.add(x, more)
        return hidden
