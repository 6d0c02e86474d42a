"""nano as a whole: encoder and both adapters give the prefix, LLaDA reads it.

The shape is DIFFA's (arXiv 2507.18452, stage 2): `[acoustic ; semantic]` stand before the prompt.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from engines.adapters import AcousticAdapter, SemanticAdapter
from engines.llada import LLaDA, LLaDAConfig
from engines.nano_encoder import NanoEncoder, NanoEncoderConfig


@dataclass(frozen=True, slots=True)
class NanoConfig:
    """Every shape of nano."""

    encoder: NanoEncoderConfig = field(default_factory=NanoEncoderConfig)
    lm: LLaDAConfig = field(
        default_factory=lambda: LLaDAConfig(
            d_model=256,
            n_layers=4,
            n_heads=4,
            mlp_hidden_size=896,
            embedding_size=1024,
            mask_token_id=1,
            eos_token_id=0,
            rope_theta=10_000.0,
            max_sequence_length=1024,
        )
    )
    taps: tuple[int, ...] = (3, 6)
    """Encoder states that the acoustic adapter listens to; 0 is the stem's output."""
    queries: int = 8
    block_length: int = 32


class NanoPrefix(nn.Module):
    """Sound to prefix embeddings: what `encoder.onnx` holds."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        d_encoder, d_model = config.encoder.d_model, config.lm.d_model
        self.taps = config.taps
        self.encoder = NanoEncoder(config.encoder)
        self.semantic_connector = SemanticAdapter(
            d_encoder, d_model, stride=1, hidden=2 * d_encoder
        )
        self.acoustic_connector = AcousticAdapter(
            d_encoder,
            d_model,
            taps=len(config.taps),
            queries=config.queries,
            layers=1,
            heads=4,
            ff=2 * d_encoder,
        )

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features [B, 80, T] of `lengths` [B] frames to embeddings [B, P, d] and lengths [B]."""
        states, lengths = self.encoder(features, lengths)
        return self.adapt(states, lengths)

    def adapt(self, states: list[Tensor], lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The adapters alone, on the encoder's states [B, S, d]."""
        valid = torch.arange(states[-1].shape[1], device=lengths.device)[None] < lengths[:, None]
        semantic = self.semantic_connector(states[-1], valid)
        acoustic = self.acoustic_connector([states[tap] for tap in self.taps], valid)
        return torch.cat([acoustic, semantic], dim=1), lengths + acoustic.shape[1]


class Nano(nn.Module):
    """Both halves, as they are trained."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.config = config
        self.speech = NanoPrefix(config)
        self.lm = LLaDA(config.lm)
