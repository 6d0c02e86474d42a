"""nano as a whole: encoder and both adapters give the prefix, LLaDA reads it.

The shape is DIFFA's (arXiv 2507.18452, stage 2): `[acoustic ; semantic]` stand before the prompt.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from engines.adapters import AcousticAdapter, SemanticAdapter
from engines.llada import LLaDA, LLaDAConfig
from engines.nano_encoder import NanoEncoder, NanoEncoderConfig
from engines.shapes import WhisperConfig


@dataclass(frozen=True, slots=True)
class NanoConfig:
    """Every shape of nano."""

    encoder: NanoEncoderConfig = field(
        default_factory=lambda: NanoEncoderConfig(
            n_layers=2,
            dropout=0.1,
            whisper=WhisperConfig(
                d_model=512,
                encoder_layers=6,
                encoder_attention_heads=8,
                encoder_ffn_dim=2048,
                max_source_positions=750,
            ),
        )
    )
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
    taps: tuple[int, ...] = (0, 1)
    """Encoder states that the acoustic adapter listens to; 0 is the stem's output."""
    queries: int = 8
    slots: int = 48
    """Pieces of speech that the prefix has room for; what is said beyond them is not heard."""
    block_length: int = 32


class NanoPrefix(nn.Module):
    """Sound to prefix embeddings: what `encoder.onnx` holds.

    The semantic adapter gives an embedding for each 80 ms frame; those of one spelled piece are
    averaged into one slot (CTC compression, Gaido et al. 2021) and added to the language model's
    own embeddings of what was spelled there, by probability. Slot n then lies at a fixed distance
    from place n of the response, in words the model knows, so even a small one reads it at once.
    """

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
        self.spelling = nn.Linear(d_encoder, config.lm.embedding_size)
        self.pieces = nn.Embedding(config.lm.embedding_size, d_model)
        """What each piece means to the language model; begins as its embedding."""
        self.blank, self.slots = config.lm.mask_token_id, config.slots
        self.empty = nn.Parameter(torch.zeros(d_model))
        """What stands in a slot that nothing was said for."""

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features [B, 80, T] of `lengths` [B] frames to embeddings [B, P, d] and lengths [B].

        The third is how probable each piece is in each encoder frame, as logarithms [B, S, V].
        """
        states, lengths = self.encoder(features, lengths)
        spelling = self.spelling(states[-1]).log_softmax(-1)
        return *self.adapt(states, lengths), spelling

    def adapt(self, states: list[Tensor], lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The adapters alone, on the encoder's states [B, S, d]."""
        valid = torch.arange(states[-1].shape[1], device=lengths.device)[None] < lengths[:, None]
        spelled = self.spelling(states[-1])  # [B, S, V]
        frames = (
            self.semantic_connector(states[-1], valid) + spelled.softmax(-1) @ self.pieces.weight
        )
        share, filled = self.compress(spelled, valid)
        semantic = torch.where(filled[..., None], share @ frames, self.empty)
        acoustic = self.acoustic_connector([states[tap] for tap in self.taps], valid)
        prefix = torch.cat([acoustic, semantic], dim=1)
        return prefix, torch.full_like(lengths, prefix.shape[1])

    def compress(self, logits: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """The share of each frame in each slot [B, slots, S], and which slots are filled.

        `logits` [B, S, V] spell the frames; a slot is a run of frames with the same piece.
        """
        piece = torch.where(valid, logits.argmax(-1), self.blank)  # [B, S]
        said = piece != self.blank
        before = torch.cat([torch.full_like(piece[:, :1], self.blank), piece[:, :-1]], dim=1)
        number = (said & (piece != before)).long().cumsum(1) - 1
        slot = torch.arange(self.slots, device=piece.device)[None, :, None]
        member = ((number[:, None, :] == slot) & said[:, None, :]).to(logits.dtype)
        count = member.sum(-1, keepdim=True)  # [B, slots, 1]
        return member / count.clamp(min=1), count[..., 0] > 0


class Nano(nn.Module):
    """Both halves, as they are trained."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.config = config
        self.speech = NanoPrefix(config)
        self.lm = LLaDA(config.lm)
