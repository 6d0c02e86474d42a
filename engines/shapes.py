"""The shapes of the published modules, in the words of their own `config.json`."""

from dataclasses import dataclass, fields
from typing import Any


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
    n_kv_heads: int = 0
    """Heads of keys and values, each shared by several of the queries; 0 for one each."""

    def __post_init__(self) -> None:
        _check_positive(self, may_be_zero=("n_kv_heads", "mask_token_id", "eos_token_id"))
        if self.d_model % (2 * self.n_heads):
            raise ValueError(f"d_model {self.d_model} is not an even number times n_heads")
        if self.n_heads % self.kv_heads:
            raise ValueError(f"n_heads {self.n_heads} is no multiple of {self.kv_heads} key heads")
        for name in ("mask_token_id", "eos_token_id"):
            if (token := getattr(self, name)) >= self.embedding_size:
                raise ValueError(f"{name} {token} is none of {self.embedding_size} embeddings")

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.d_model // self.n_heads

    @property
    def kv_heads(self) -> int:
        """Heads of keys and values."""
        return self.n_kv_heads or self.n_heads

    @property
    def parameters(self) -> int:
        """Numbers in the language model, embedding and head included."""
        attention = 2 * self.d_model + 2 * self.kv_heads * self.head_dim
        layer = self.d_model * (attention + 3 * self.mlp_hidden_size + 2)
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

    def __post_init__(self) -> None:
        _check_positive(self)
        if self.d_model % self.encoder_attention_heads:
            raise ValueError(f"d_model {self.d_model} is no multiple of the attention heads")


def _check_positive(shape: Any, may_be_zero: tuple[str, ...] = ()) -> None:
    """Raise `ValueError` unless every field is a number of the type it should have, above zero."""
    for each in fields(shape):
        value, kind = getattr(shape, each.name), each.type
        fits = isinstance(value, int | float if kind is float else int)
        least = 0 if each.name in may_be_zero else 1e-12
        if not fits or isinstance(value, bool) or not least <= value < float("inf"):
            raise ValueError(f"{each.name} cannot be {value!r}")
