"""What a stage leaves: a state to go on from, and the adapters as DIFFA's were published."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from engines.checkpoints import CheckpointError
from engines.published import Diffa
from engines.training.diffa.model import whisper_name
from engines.training.runs import read_state
from engines.training.saving import CheckpointMismatchError


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stage's state lies, and what must not change before it goes on."""

    path: Path
    stage: str
    pairs: int
    """Fingerprint of the pairs."""

    def save(
        self, trained: Mapping[str, nn.Parameter], optimiser: torch.optim.Optimizer, step: int
    ) -> None:
        """Write the state; the old one is there until the new one is whole."""
        state = {
            "stage": self.stage,
            "step": step,
            "pairs": self.pairs,
            "model": {name: each.detach().cpu() for name, each in trained.items()},
            "optimisers": [_on_cpu(optimiser.state_dict())],
        }
        half = self.path.with_suffix(".half")
        torch.save(state, half)
        os.replace(half, self.path)

    def resume(self, trained: Mapping[str, nn.Parameter], optimiser: torch.optim.Optimizer) -> int:
        """Take over a state, if there is one; returns the step to go on with.

        Raises `CheckpointMismatchError` for the state of another model, stage or set of pairs.
        """
        if not self.path.is_file():
            return 0
        state = read_state(self.path)
        if state["stage"] != self.stage:
            raise CheckpointMismatchError(f"{self.path} is a checkpoint of stage {state['stage']}")
        if state.get("pairs") != self.pairs:
            raise CheckpointMismatchError(
                f"{self.path} was trained on other pairs, or some recordings are gone: give the "
                "same, or begin another run"
            )
        _fill(trained, state["model"], self.path)
        optimiser.load_state_dict(state["optimisers"][0])
        return int(state["step"])


def _fill(trained: Mapping[str, nn.Parameter], saved: Mapping[str, Tensor], path: Path) -> None:
    for name in trained.keys() ^ saved.keys():
        raise CheckpointMismatchError(f"{path} is of another shape: {name}; begin another run")
    for name, parameter in trained.items():
        if parameter.shape != saved[name].shape:
            raise CheckpointMismatchError(
                f"{path} is of another shape: {name} is {list(saved[name].shape)}, "
                f"not {list(parameter.shape)}; begin another run"
            )
        parameter.data.copy_(saved[name])


def _on_cpu(state: object) -> object:
    """An optimiser's state without a device, so that any process can read it."""
    if isinstance(state, Tensor):
        return state.detach().cpu()
    if isinstance(state, dict):
        return {key: _on_cpu(each) for key, each in state.items()}
    if isinstance(state, list):
        return [_on_cpu(each) for each in state]
    return state


def write_adapters(diffa: Diffa, folder: Path) -> None:
    """Write `config.json` and the 72 published tensors, each file whole or not at all.

    Raises `OSError` or `CheckpointError` where they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = whisper_name(diffa.whisper_model.config.encoder_layers)
    tensors = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in diffa.state_dict().items()
        if not name.startswith("whisper_model.")
    }
    config = json.dumps({"whisper_model_id": f"openai/{name}"}, indent=1)
    (folder / "config.part").write_text(config + "\n", encoding="utf-8")
    os.replace(folder / "config.part", folder / "config.json")
    try:
        save_file(tensors, folder / "model.part")
    except SafetensorError as error:
        raise CheckpointError(f"{folder}: {error}; is the disk full?") from error
    os.replace(folder / "model.part", folder / "model.safetensors")
