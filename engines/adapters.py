"""The two adapters between speech encoder and language model (DIFFA, arXiv 2507.18452).

What was said goes through the semantic adapter, how it was said through the acoustic one.
Parameter names are the published ones.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class SemanticAdapter(nn.Module):
    """Encoder frames to fewer embeddings: two convolutions, two linears, a norm."""

    def __init__(
        self, d_encoder: int, d_model: int, *, stride: int = 4, hidden: int | None = None
    ) -> None:
        super().__init__()
        hidden = hidden or 4 * d_encoder
        self.stride = stride
        self.conv = nn.Sequential(
            nn.Conv1d(d_encoder, d_encoder, 3, padding=1),
            nn.GELU(),
            nn.Conv1d(d_encoder, hidden, 3, stride=stride, padding=1),
        )
        self.linear_connector = nn.Sequential(
            nn.Linear(hidden, d_encoder), nn.ReLU(), nn.Linear(d_encoder, d_model), nn.ReLU()
        )
        self.layernorm = nn.LayerNorm(d_model)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Return the embeddings made of so many frames; an incomplete last group makes none."""
        return lengths // self.stride

    def forward(self, frames: Tensor, mask: Tensor | None = None) -> Tensor:
        """Turn [B, T, d_encoder] into [B, T // stride, d_model].

        With `mask` [B, T] (True = real frame), a padded clip yields what it yields alone.
        """
        whole = frames.shape[1] // self.stride * self.stride
        x = frames[:, :whole].transpose(1, 2)  # [B, d, T]
        if mask is not None:
            real = mask[:, None, :whole].to(x.dtype)
            x = self.conv[1](self.conv[0](x * real)) * real
            x = self.conv[2](x)
        else:
            x = self.conv(x)
        return self.layernorm(self.linear_connector(x.transpose(1, 2)))


class _Projections(nn.Module):
    def __init__(self, size: int, d_memory: int) -> None:
        super().__init__()
        self.query = nn.Linear(size, size)
        self.key = nn.Linear(d_memory, size)
        self.value = nn.Linear(d_memory, size)


class _Output(nn.Module):
    """A linear back to the residual stream, and the norm after the sum (BERT's order)."""

    def __init__(self, inner: int, size: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inner, size)
        self.LayerNorm = nn.LayerNorm(size, eps=1e-12)

    def forward(self, inner: Tensor, residual: Tensor) -> Tensor:
        return self.LayerNorm(self.dense(inner) + residual)


class _Attention(nn.Module):
    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.self = _Projections(size, size)
        self.output = _Output(size, size)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
        project = self.self
        q, k, v = (
            t.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for t in (project.query(x), project.key(memory), project.value(memory))
        )
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.output(attended.transpose(1, 2).flatten(2), x)


class _Intermediate(nn.Module):
    def __init__(self, size: int, ff: int) -> None:
        super().__init__()
        self.dense = nn.Linear(size, ff)

    def forward(self, x: Tensor) -> Tensor:
        return functional.gelu(self.dense(x))


class _QFormerLayer(nn.Module):
    """Queries look at each other, then at the encoder's frames, then an MLP."""

    def __init__(self, size: int, heads: int, ff: int) -> None:
        super().__init__()
        self.attention = _Attention(size, heads)
        self.crossattention = _Attention(size, heads)
        self.intermediate = _Intermediate(size, ff)
        self.output = _Output(ff, size)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        x = self.attention(x, x)
        x = self.crossattention(x, memory, mask)
        return self.output(self.intermediate(x), x)


class _QFormer(nn.Module):
    def __init__(self, size: int, layers: int, heads: int, ff: int) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_QFormerLayer(size, heads, ff) for _ in range(layers))

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        for layer in self.layer:
            x = layer(x, memory, mask)
        return x


class AcousticAdapter(nn.Module):
    """A Q-Former with its own queries for every tapped encoder state, mixed per query.

    The queries attend to each other in both directions. The published model's queries see all
    encoder frames, padding included; `memory_mask` is for models trained without that.
    """

    def __init__(
        self,
        d_encoder: int,
        d_model: int,
        *,
        taps: int,
        queries: int = 64,
        layers: int = 2,
        heads: int = 12,
        ff: int = 3072,
    ) -> None:
        super().__init__()
        self.layer_weights = nn.Parameter(torch.zeros(queries, taps))
        self.layer_prompts = nn.ParameterList(
            nn.Parameter(torch.randn(1, queries, d_encoder)) for _ in range(taps)
        )
        self.qformer = _QFormer(d_encoder, layers, heads, ff)
        self.proj = nn.Sequential(nn.LayerNorm(d_encoder), nn.Linear(d_encoder, d_model))

    def forward(self, states: Sequence[Tensor], memory_mask: Tensor | None = None) -> Tensor:
        """Turn tapped states, each [B, T, d_encoder], into [B, queries, d_model].

        `memory_mask` [B, T] is True where a frame is real.
        """
        batch, taps = states[0].shape[0], len(self.layer_prompts)
        mask = None
        if memory_mask is not None:
            mask = memory_mask.repeat(taps, 1)[:, None, None, :]  # [taps * B, 1, 1, T]
        # all taps in one batch: the layers are the same
        prompts = torch.cat([prompt.expand(batch, -1, -1) for prompt in self.layer_prompts])
        heard = self.qformer(prompts, torch.cat(list(states)), mask).unflatten(0, (taps, batch))
        weights = self.layer_weights.softmax(dim=-1).T[:, None, :, None]  # [taps, 1, queries, 1]
        return self.proj((weights * heard).sum(dim=0))
