"""The shapes of the published modules, in the words of their own `config.json`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LLaDAConfig:
    """The shape of a model, in the words of the published `config.json`."""

    d_model: int
    n_layers: int
    n_heads: int
    mlp_hidden_size: int
    embedding_size: int
    """Rows of the embedding and of the head; the tokenizer may use fewer."""
    mask_token_id: int
    eos_token_id: int
    rope_theta: float = 500_000.0
    rms_norm_eps: float = 1e-5
    max_sequence_length: int = 4096
    """Positions the model was trained for, prefix and response together."""

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.d_model // self.n_heads

    @property
    def parameters(self) -> int:
        """Numbers in the language model, embedding and head included."""
        layer = self.d_model * (4 * self.d_model + 3 * self.mlp_hidden_size + 2)
        return self.n_layers * layer + self.d_model * (2 * self.embedding_size + 1)


@dataclass(frozen=True, slots=True)
class WhisperConfig:
    """The encoder's shape, in the words of the published `config.json`."""

    d_model: int
    encoder_layers: int
    encoder_attention_heads: int
    encoder_ffn_dim: int
    num_mel_bins: int = 80
    max_source_positions: int = 1500
    """Frames of 20 ms that the position table covers."""
