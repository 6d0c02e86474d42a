"""nano's speech encoder: Whisper's, as in DIFFA, then a small conformer at 12.5 frames a second.

Source: Radford et al. 2022; Gulati et al. 2020 (arXiv 2005.08100), with one feed-forward layer a
block, pre-norm, and rotary positions in place of relative ones. Whisper may be left out: then three
convolutions stand in its place, and everything is learned from nothing.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engines.encoder import WhisperEncoder
from engines.llada import rotary_angles, rotate
from engines.shapes import WhisperConfig

STRIDE = 8
"""Feature frames (10 ms) that become one encoder frame (80 ms)."""
ROTARY_THETA = 10_000.0
"""Longest wavelength of the rotary positions (Su et al. 2021)."""


@dataclass(frozen=True, slots=True)
class NanoEncoderConfig:
    """Shapes of the encoder; the defaults stand alone, without Whisper."""

    mels: int = 80
    d_model: int = 256
    n_layers: int = 8
    n_heads: int = 4
    ff_size: int = 1024
    kernel: int = 11
    """Width of the depth-wise convolution, in frames."""
    dropout: float = 0.12
    whisper: WhisperConfig | None = None
    """What hears first, if it is not to be learned from nothing."""


class NanoEncoder(nn.Module):
    """Log-mel features to hidden states."""

    def __init__(self, config: NanoEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.stem: nn.Module
        if config.whisper is None:
            self.stem = _Convolutions(config)
        else:
            self.stem = _Whisper(config.whisper, config.d_model)
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.n_layers)])
        self.norm = nn.LayerNorm(config.d_model)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[list[Tensor], Tensor]:
        """Hidden states after the stem and after every block, the last one normalised.

        `features` is [B, mels, T], `lengths` [B] counts its frames; the result holds
        `n_layers + 1` states [B, S, d] and the lengths [B] in encoder frames.
        """
        x, lengths = self.stem(_level(features, lengths), lengths)  # [B, S, d]
        frames = torch.arange(x.shape[1], device=x.device)
        valid = frames[None, :] < lengths[:, None]  # [B, S]
        head_dim = self.config.d_model // self.config.n_heads
        rotation = rotary_angles(frames[None], head_dim, ROTARY_THETA)
        states = [x]
        for block in self.blocks:
            x = block(x, valid, rotation)
            states.append(x)
        states[-1] = self.norm(x)
        return states, lengths


class _Convolutions(nn.ModuleList):
    """Three convolutions of stride two."""

    def __init__(self, config: NanoEncoderConfig) -> None:
        d = config.d_model
        super().__init__(
            [
                nn.Conv1d(config.mels, d, 5, stride=2, padding=2),
                nn.Conv1d(d, d, 3, stride=2, padding=1),
                nn.Conv1d(d, d, 3, stride=2, padding=1),
            ]
        )

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features [B, mels, T] and lengths [B] -> [B, T / 8, d] and lengths."""
        for conv in self:
            valid = torch.arange(x.shape[2], device=x.device)[None, :] < lengths[:, None]
            x = F.gelu(conv(x * valid[:, None, :]))
            lengths = (lengths + 1) // 2
        return x.transpose(1, 2), lengths


class _Whisper(nn.Module):
    """Whisper's encoder, four of whose states become one."""

    def __init__(self, config: WhisperConfig, d_model: int) -> None:
        super().__init__()
        self.whisper = WhisperEncoder(config)
        self.gather = nn.Conv1d(config.d_model, d_model, 5, stride=4, padding=2)
        self.norm = nn.LayerNorm(d_model)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features [B, mels, T] and lengths [B] -> [B, T / 8, d] and lengths."""
        states, _ = self.whisper(x, lengths=lengths)
        lengths = self.whisper.output_lengths(lengths)
        valid = torch.arange(states.shape[1], device=x.device)[None, :] < lengths[:, None]
        states = (states * valid[..., None]).transpose(1, 2)
        return self.norm(self.gather(states).transpose(1, 2)), (lengths + 3) // 4


def _level(features: Tensor, lengths: Tensor) -> Tensor:
    """Features relative to the clip's own loudest value, so that gain does not matter."""
    valid = torch.arange(features.shape[2], device=features.device)[None, :] < lengths[:, None]
    loudest = features.masked_fill(~valid[:, None, :], -10.0).amax(dim=(1, 2), keepdim=True)
    return torch.clamp(features - loudest + 1.0, min=-1.0)


class Block(nn.Module):
    """Attention, convolution, feed-forward; each on a normalised copy, added back."""

    def __init__(self, config: NanoEncoderConfig) -> None:
        super().__init__()
        d = config.d_model
        self.n_heads = config.n_heads
        self.attn_norm = nn.LayerNorm(d)
        self.qkv = nn.Linear(d, 3 * d, bias=False)
        self.attn_out = nn.Linear(d, d, bias=False)
        self.conv_norm = nn.LayerNorm(d)
        self.conv_in = nn.Linear(d, 2 * d)
        self.depthwise = nn.Conv1d(d, d, config.kernel, padding=config.kernel // 2, groups=d)
        self.depthwise_norm = nn.LayerNorm(d)
        self.conv_out = nn.Linear(d, d)
        self.ff_norm = nn.LayerNorm(d)
        self.ff_in = nn.Linear(d, config.ff_size)
        self.ff_out = nn.Linear(config.ff_size, d)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, valid: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        """`x` [B, S, d], `valid` [B, S] -> [B, S, d]."""
        x = x + self.dropout(self._attend(self.attn_norm(x), valid, rotation))
        x = x + self.dropout(self._convolve(self.conv_norm(x), valid))
        return x + self.dropout(self.ff_out(F.silu(self.ff_in(self.ff_norm(x)))))

    def _attend(self, x: Tensor, valid: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        batch, length, d = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.n_heads, d // self.n_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # [B, heads, S, head]
        q, k = rotate(q, *rotation), rotate(k, *rotation)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=valid[:, None, None, :])
        y = y.transpose(1, 2).reshape(batch, length, d)
        return self.attn_out(y)

    def _convolve(self, x: Tensor, valid: Tensor) -> Tensor:
        x = F.glu(self.conv_in(x), dim=-1) * valid[:, :, None]
        x = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        return self.conv_out(F.silu(self.depthwise_norm(x)))
