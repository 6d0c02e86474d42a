"""Weight-only quantisation: matrices of eight or four bits, activations as they are."""

import warnings
from typing import Any

import torch

from engines.checkpoints import CheckpointError
from engines.llada import LLaDA
from engines.memory import Quantise
from engines.quiet import quiet

GROUP = 128
"""Numbers of a row that share a scale in int4."""


def quantise(model: LLaDA, kind: Quantise, device: str) -> LLaDA:
    """Quantise every matrix but the embedding, and move the model to `device`.

    One matrix at a time, so that the device never holds more than what comes of it. Raises
    `CheckpointError` where torchao is missing or cannot do it.
    """
    if kind == "int4" and device != "cuda":
        raise CheckpointError('int4 needs a GPU: set engine.quantise = "int8"')
    narrow = model.config.d_model % GROUP or model.config.mlp_hidden_size % GROUP
    if kind == "int4" and narrow:
        raise CheckpointError(f'int4 needs widths of {GROUP}: set engine.quantise = "int8"')
    if kind != "none":
        _quantise_in_place(model, kind, device)
    return model.to(device)


def _quantise_in_place(model: LLaDA, kind: Quantise, device: str) -> None:
    try:
        # torchao tells of every kernel that it has not for this machine
        with warnings.catch_warnings(), quiet("torchao"), quiet("torch.utils._pytree"):
            warnings.simplefilter("ignore")
            from torchao.quantization import (
                Int4WeightOnlyConfig,
                Int8WeightOnlyConfig,
                quantize_,
            )
    except ImportError as error:
        raise CheckpointError(
            f"quantising needs torchao: install assistant[quantise] ({error})"
        ) from error
    config: Any = Int8WeightOnlyConfig()
    if kind == "int4":
        # the packing of torch's own kernel, which needs no further package
        config = Int4WeightOnlyConfig(group_size=GROUP, int4_packing_format="tile_packed_to_4d")
    with torch.no_grad():
        quantize_(model, config, device=device)
