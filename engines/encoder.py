"""Whisper's encoder (Radford et al. 2022, section 2.2), with the published parameter names."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.shapes import WhisperConfig

_NEVER = -1e4
"""Added to how well a state fits one that is padding."""


class _SelfAttention(nn.Module):
    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(size, size)
        self.k_proj = nn.Linear(size, size, bias=False)
        self.v_proj = nn.Linear(size, size)
        self.out_proj = nn.Linear(size, size)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        q, k, v = (
            projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [B, H, T, D]
            for projected in (self.q_proj(x), self.k_proj(x), self.v_proj(x))
        )
        if mask is None or q.is_cuda:
            attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        else:  # by hand: backwards, on a CPU, torch's own kernel takes three times as long
            fit = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
            attended = (fit + mask).softmax(-1).to(v.dtype) @ v
        return self.out_proj(attended.transpose(1, 2).flatten(2))


class _Layer(nn.Module):
    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        size = config.d_model
        self.self_attn_layer_norm = nn.LayerNorm(size)
        self.self_attn = _SelfAttention(size, config.encoder_attention_heads)
        self.final_layer_norm = nn.LayerNorm(size)
        self.fc1 = nn.Linear(size, config.encoder_ffn_dim)
        self.fc2 = nn.Linear(config.encoder_ffn_dim, size)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = x + self.self_attn(self.self_attn_layer_norm(x), mask)
        return x + self.fc2(functional.gelu(self.fc1(self.final_layer_norm(x))))


class WhisperEncoder(nn.Module):
    """Log-mel features to one state every 20 ms, 30 s at a time."""

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        size = config.d_model
        self.config = config
        self.conv1 = nn.Conv1d(config.num_mel_bins, size, 3, padding=1)
        self.conv2 = nn.Conv1d(size, size, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(config.max_source_positions, size)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.encoder_layers))
        self.layer_norm = nn.LayerNorm(size)

    def forward(
        self, features: Tensor, taps: Iterable[int] = (), lengths: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Turn features [B, mels, T] into states [B, T / 2, d], and the states at `taps`.

        Tap 0 is what enters the first layer, tap i what leaves layer i; the returned states
        have gone through the last norm, the taps have not. With `lengths` [B] of the features, a
        padded clip yields what it yields alone; without, padding is heard, as Whisper hears it.
        """
        x, mask = self._begin(features, lengths)
        states = [x + self.embed_positions.weight[: x.shape[1]].to(x.dtype)]
        for layer in self.layers:
            states.append(layer(states[-1], mask))
        return self.layer_norm(states[-1]), [states[tap] for tap in taps]

    def _begin(self, features: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """What enters the first layer, but for its position, and what no state may attend to."""
        if lengths is None:
            x = functional.gelu(self.conv2(functional.gelu(self.conv1(features))))
            return x.transpose(1, 2), None
        real = _real(features, lengths)
        x = functional.gelu(self.conv2(functional.gelu(self.conv1(features * real)) * real))
        ends = self.output_lengths(lengths)
        padding = torch.arange(x.shape[2], device=x.device) >= ends[:, None]
        return x.transpose(1, 2), _NEVER * padding[:, None, None].to(x.dtype)  # [B, 1, 1, T / 2]

    def output_lengths(self, frames: Tensor) -> Tensor:
        """Return the states made of so many feature frames."""
        return (frames - 1) // 2 + 1


def _real(features: Tensor, lengths: Tensor) -> Tensor:
    """1 for a real frame of [B, mels, T], 0 for padding: [B, 1, T]."""
    frames = torch.arange(features.shape[2], device=features.device)
    return (frames < lengths[:, None])[:, None].to(features.dtype)
