"""Whisper's encoder as what nano's encoder begins with, as DIFFA does."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from torch import nn

from engines.checkpoints import CheckpointError
from engines.encoder import WhisperEncoder
from engines.hub import Published, fetch
from engines.published import read_whisper
from engines.training.encoder import CtcEncoder

PUBLISHED = Published("openai/whisper-base", ("config.json", "model.safetensors"), 290_000_000)
LEARNED = "encoder.stem.whisper."
"""How the names of Whisper's parameters begin in a `CtcEncoder`."""
POSITIONS = "embed_positions.weight"


@dataclass(frozen=True, slots=True)
class Pretrained:
    """How much of what was learned before may change."""

    rate_share: float = 0.1
    """Of the learning rate, for the layers that move."""
    frozen_layers: int = 2
    """First layers that stay as they are, and what is before them."""


def give(model: CtcEncoder, source: str | None) -> None:
    """Give an encoder that begins with Whisper the weights of `source`, a folder or a repository.

    Of its positions only as many are taken as the model has. Raises `CheckpointError` for weights
    that cannot be had, or are of another shape.
    """
    ours = whisper_of(model)
    folder = fetch(PUBLISHED, source)
    theirs = read_whisper(folder)
    positions = ours.config.max_source_positions
    if replace(theirs.config, max_source_positions=positions) != ours.config:
        raise CheckpointError(f"{folder} is {theirs.config}, the recipe wants {ours.config}")
    weights = theirs.float().state_dict()
    weights[POSITIONS] = weights[POSITIONS][:positions]
    ours.load_state_dict(weights)


def hold(model: CtcEncoder, layers: int) -> None:
    """Freeze so many of Whisper's layers, and what is before them."""
    for part in _still(whisper_of(model), layers):
        part.requires_grad_(requires_grad=False)


def _still(whisper: WhisperEncoder, layers: int) -> Iterator[nn.Module]:
    yield from (whisper.conv1, whisper.conv2, whisper.embed_positions)
    yield from whisper.layers[:layers]


def whisper_of(model: CtcEncoder) -> WhisperEncoder:
    """The part of an encoder that is Whisper's."""
    whisper = model.encoder.stem.whisper
    assert isinstance(whisper, WhisperEncoder)  # noqa: S101 - narrows the type for mypy
    return whisper
