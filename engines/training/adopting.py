"""Begins a run with the weights of a shipped model, to teach it more instead of all over again.

A graph does not keep the names of all its matrices. So a model of the same shape, with weights
that are all different, is exported once more, and the place where each weight lands is read off.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engines.checkpoints import Checkpoint
from engines.export import export_encoder, export_lm
from engines.nano_model import Nano
from engines.training.encoder import CtcEncoder
from engines.training.optimisers import Optimisers
from engines.training.preparation import TOKENIZER
from engines.training.saving import save

_FOLDED = "layer_weights"

Arrays = Mapping[str, NDArray[Any]]


class AdoptionError(ValueError):
    """A folder whose weights cannot be taken over; the message names it and the weight."""


def adopt(
    folder: Path, run: Path, model: Nano, speller: CtcEncoder, shares: Mapping[str, float]
) -> None:
    """Leave the weights of the shipped `folder` in `run`, as if its stages had just begun there.

    `model` and `speller` have the shapes of the run's configuration and get the weights; parts of
    `speller` will move at `shares` of the rate. Raises `AdoptionError` for a model of other
    shapes, `CheckpointError` for a damaged folder.
    """
    checkpoint = Checkpoint.open(folder)
    weights = _read(checkpoint, model)
    model.load_state_dict(weights)
    speller.encoder.load_state_dict(model.speech.encoder.state_dict())
    speller.head.load_state_dict(model.speech.spelling.state_dict())
    # the middle state is read by the same head, so its norm begins as that of the last
    speller.middle_norm.load_state_dict(model.speech.encoder.norm.state_dict())
    run.mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / "tokenizer.json", run / TOKENIZER)
    parts: dict[str, nn.Module] = {"encoder": speller, "lm": model.lm, "align": model}
    for stage, part in parts.items():
        optimisers = Optimisers(part, shares=shares if part is speller else {})
        save(run / f"{stage}.pt", stage, part, optimisers, 0)


def _read(checkpoint: Checkpoint, model: Nano) -> dict[str, Tensor]:
    """The shipped weights under the names of `model`, whose own are changed on the way."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    with tempfile.TemporaryDirectory() as scratch:
        draft = Path(scratch)
        forbidden = [model.config.lm.mask_token_id]
        export_encoder(model.speech, draft / "encoder.onnx", mels=model.config.encoder.mels)
        export_lm(model.lm, draft / "lm.onnx", forbidden=forbidden)
        found: dict[str, Tensor] = {}
        for part, graph in (("speech.", checkpoint.encoder), ("lm.", checkpoint.lm_graph)):
            ours = {n: w for n, w in model.state_dict().items() if n.startswith(part)}
            made, shipped = _initialisers(draft / graph.name), _initialisers(graph)
            found |= dict(_matched(ours, made, shipped, graph))
    return found


def _matched(
    ours: Mapping[str, Tensor], made: Arrays, shipped: Arrays, graph: Path
) -> Iterator[tuple[str, Tensor]]:
    """Each of our weights with what the shipped graph has in its place."""
    places = {_fingerprint(array): name for name, array in made.items() if array.size > 1}
    for name, weight in ours.items():
        array = weight.numpy()
        if name.endswith(_FOLDED):
            folded = _folded(weight).numpy()
            place = next((n for n, a in made.items() if _alike(a, folded)), None)
        else:
            place = places.get(_fingerprint(array), places.get(_fingerprint(array.T)))
        values = None if place is None else _values(shipped, place)
        if place is None or values is None or values.shape != made[place].shape:
            shape = "x".join(map(str, array.shape))
            raise AdoptionError(f"{graph}: {name} is not there in the shape {shape}")
        if name.endswith(_FOLDED):
            yield name, torch.tensor(values[:, 0, :, 0].T).log()
        else:
            turned = made[place].shape != array.shape or not np.array_equal(made[place], array)
            yield name, torch.tensor(values.T if turned else values).contiguous()


def _folded(weight: Tensor) -> Tensor:
    """What the exporter makes of the acoustic adapter's weights of its taps."""
    return weight.softmax(dim=-1).T[:, None, :, None]


def _alike(array: NDArray[Any], other: NDArray[Any]) -> bool:
    return array.shape == other.shape and np.allclose(array, other, atol=1e-5)


def _fingerprint(array: NDArray[Any]) -> tuple[tuple[int, ...], bytes]:
    return array.shape, np.ascontiguousarray(array).tobytes()[:256]


def _values(shipped: Arrays, name: str) -> NDArray[np.float32] | None:
    """A weight of a graph, whether it is quantised or not."""
    if name in shipped:
        return np.asarray(shipped[name], np.float32)
    if f"{name}_quantized" not in shipped:
        return None
    steps, zero = shipped[f"{name}_quantized"], shipped[f"{name}_zero_point"]
    scale = shipped[f"{name}_scale"]
    return np.asarray((steps.astype(np.float32) - zero.astype(np.float32)) * scale, np.float32)


def _initialisers(path: Path) -> dict[str, NDArray[Any]]:
    import onnx
    from onnx import numpy_helper

    return {each.name: numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer}
