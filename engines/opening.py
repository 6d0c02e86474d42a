"""Opens a checkpoint's language model where it runs best, once it is known to fit."""

import logging
from typing import Literal

from engines.backends import Backend
from engines.checkpoints import Checkpoint, CheckpointError
from engines.memory import (
    FreeBytes,
    NotEnoughMemoryError,
    Precision,
    Quantise,
    check_memory,
    free_bytes,
    lm_bytes,
    options,
)

Device = Literal["auto", "cpu", "cuda"]
Place = Literal["cpu", "cuda"]
Runtime = Literal["onnxruntime", "torch"]

QUANTISED: tuple[Precision, ...] = ("int8", "int4")
ROOM = (2, 1024)
"""Requests and positions that a GPU has room for from the start: transcript and answer."""

_log = logging.getLogger(__name__)


def open_model(
    checkpoint: Checkpoint,
    *,
    threads: int,
    device: Device = "auto",
    quantise: Quantise = "none",
    free: FreeBytes = free_bytes,
) -> Backend:
    """Open the language model: `lm.onnx` on the CPU where there is one, else weights on torch.

    `auto` takes a GPU if there is one and the folder has weights for it. Raises `CheckpointError`
    for what cannot be opened, and `NotEnoughMemoryError` before anything large is read.
    """
    runtime, where = placed(checkpoint, device, quantise)
    if runtime == "torch":
        return _open_torch(checkpoint, threads, where, quantise, free)
    if device == "cuda" or quantise != "none":
        _log.warning(
            "%s has no weights for torch: the language model runs on the CPU, from lm.onnx",
            checkpoint.folder,
        )
    return _open_onnx(checkpoint, threads)


def placed(
    checkpoint: Checkpoint, device: Device, quantise: Quantise = "none"
) -> tuple[Runtime, Place]:
    """What `open_model` would run the language model with, and where; nothing is loaded."""
    wants_torch = quantise != "none" or device == "cuda" or (device == "auto" and _cuda(checkpoint))
    if checkpoint.lm_graph.is_file() and not (wants_torch and checkpoint.lm_weights):
        return "onnxruntime", "cpu"
    if device == "auto":
        device = "cuda" if _cuda(checkpoint) else "cpu"
    return "torch", device


def _open_onnx(checkpoint: Checkpoint, threads: int) -> Backend:
    from engines.backends.onnx import OnnxBackend

    manifest = checkpoint.manifest
    return OnnxBackend(
        checkpoint.lm_graph,
        mask_id=manifest.lm.mask_token_id,
        block_causal=manifest.attention == "block-causal",
        max_sequence_length=manifest.lm.max_sequence_length,
        threads=threads,
    )


def _open_torch(
    checkpoint: Checkpoint,
    threads: int,
    device: Place,
    quantise: Quantise,
    free: FreeBytes,
) -> Backend:
    try:
        import torch

        from engines import quantise as quantising
        from engines.backends.graphs import cuda_capture
        from engines.backends.torch import TorchBackend
        from engines.precision import suited
        from engines.published import load_llada, stored_type
    except ImportError as error:
        raise CheckpointError(
            f"{checkpoint.folder}: this model needs torch ({error}); install assistant[torch]"
        ) from error
    if device == "cuda" and not torch.cuda.is_available():
        raise CheckpointError("device cuda was asked for, but torch finds none; use device cpu")
    if device == "cpu":
        torch.set_num_threads(threads)
    lm, folder = checkpoint.manifest.lm, checkpoint.folder
    dtype = suited(stored_type(folder), device)
    plain: Precision = "float32" if dtype == torch.float32 else "bfloat16"
    precision = plain if quantise == "none" else quantise
    sizes = options(lm, device)
    smaller = {name: sizes[name] for name in QUANTISED if name in sizes and name != precision}
    check_memory(str(folder), lm_bytes(lm, precision), device, smaller=smaller, free=free)
    # quantised on its way to the device, which may have no room for all of it
    first = device if quantise == "none" else "cpu"
    try:
        model = load_llada(lm, folder, device=first, dtype=dtype)
        model = quantising.quantise(model, quantise, device)
        return TorchBackend(
            model,
            block_causal=checkpoint.manifest.attention == "block-causal",
            forbidden=checkpoint.forbidden,
            room=ROOM if device == "cuda" else (0, 0),
            capture=cuda_capture if device == "cuda" else None,
        )
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise NotEnoughMemoryError(
            f"{folder}: the memory of {device} was full before the model was in it; "
            "close other programs, or quantise"
        ) from error


def _cuda(checkpoint: Checkpoint) -> bool:
    """Whether the folder has weights for a GPU and there is one."""
    if not checkpoint.lm_weights:
        return False
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available()
