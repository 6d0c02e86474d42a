"""Checkpoints of a stage: weights, optimisers and step, written whole or not at all."""

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from engines.training.optimisers import Optimisers


class CheckpointMismatchError(ValueError):
    """A checkpoint that belongs to another model or another stage."""


def save(path: Path, stage: str, model: nn.Module, optimisers: Optimisers, step: int) -> None:
    """Write a checkpoint in one move: a kill or a crash leaves the old one or the new one."""
    state = {
        "stage": stage,
        "step": step,
        "model": model.state_dict(),
        "optimisers": [o.state_dict() for o in optimisers.all],
    }
    half = path.with_suffix(".half")
    try:
        with half.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(half, path)
    finally:
        half.unlink(missing_ok=True)


def resume(path: Path, stage: str, model: nn.Module, optimisers: Optimisers) -> int:
    """Load a checkpoint where there is one; the step it stood at, or 0.

    Raises `CheckpointMismatchError` for one of another stage or shape.
    """
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True, map_location="cpu")
    if state["stage"] != stage:
        raise CheckpointMismatchError(f"{path} is a checkpoint of stage {state['stage']}")
    load_weights(model, state["model"], path)
    for optimiser, saved in zip(optimisers.all, state["optimisers"], strict=True):
        optimiser.load_state_dict(saved)
    return int(state["step"])


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Load weights that must fit exactly; the error names the first that does not."""
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise CheckpointMismatchError(f"{path} is of another shape: {first}") from error
