"""The encoder's graph on onnxruntime: features in, prefix out, on the CPU or on CUDA."""

import logging
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from engines.backends.onnx import session
from engines.checkpoints import CheckpointError
from engines.opening import Device
from engines.schedule import Floats

CUDA = "CUDAExecutionProvider"

_log = logging.getLogger(__name__)


class Listener:
    """Runs `encoder.onnx`; on CUDA its prefix stays on the device, for a model that is there."""

    def __init__(
        self, path: Path, *, mels: int, size: int, threads: int, device: Device, keep: bool
    ) -> None:
        """Open a graph from `mels` bands to embeddings of `size`; `keep` leaves them on the device.

        Where CUDA was asked for and is not there, the log says so. Raises `CheckpointError` for a
        damaged graph, and for one that takes or gives something else.
        """
        wanted = device != "cpu" and CUDA in onnxruntime.get_available_providers()
        self._session = session(path, threads, cuda=wanted)
        _check(self._session, path, mels, size)
        self.spells = len(self._session.get_outputs()) > 2
        self.on_cuda = CUDA in self._session.get_providers()
        self._keep = keep and self.on_cuda
        if device == "cuda" and not self.on_cuda:
            _log.warning(
                "device cuda was asked for, but onnxruntime has no CUDA: "
                "THE ENCODER RUNS ON THE CPU; %s",
                _remedy(),
            )

    def __call__(self, features: Floats, frames: int) -> tuple[Any, Floats | None]:
        """Turn features [1, mels, T], of which `frames` are real, into a prefix [P, d].

        With it comes the spelling [S, V] of an encoder that spells.
        """
        feeds: dict[str, NDArray[Any]] = {"features": features, "lengths": np.array([frames])}
        if self._keep:
            first, *others = bound_run(self._session, feeds, "cuda")
            prefix, (lengths, *spelling) = on_torch(first), [each.numpy() for each in others]
        else:
            prefix, lengths, *spelling = self._session.run(None, feeds)
        return prefix[0, : int(lengths[0])], spelling[0][0] if spelling else None


def _check(graph: onnxruntime.InferenceSession, path: Path, mels: int, size: int) -> None:
    """Raise `CheckpointError` unless the graph is one of `engines.export` of these shapes."""
    takes = {each.name: each.shape for each in graph.get_inputs()}
    gives = graph.get_outputs()[0].shape
    fits = takes.keys() == {"features", "lengths"} and takes["features"][1] == mels
    if not fits or len(gives) != 3 or gives[2] not in (size, None):
        raise CheckpointError(
            f"{path}: does not turn {mels} bands into embeddings of {size}; another model's"
        )


def _remedy() -> str:
    """Say what to install: the two packages write the same files, so the one put in last wins."""
    found = []
    for name in ("onnxruntime", "onnxruntime-gpu"):
        with suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    if "onnxruntime-gpu" not in " ".join(found):
        return "install assistant[gpu], then see docs/diffa.md"
    if len(found) > 1:
        both = " and ".join(found)
        return f"{both} overwrite each other: uninstall both, then install onnxruntime-gpu alone"
    return f"{found[0]} finds no GPU, driver or CUDA library that it can use"


def bound_run(
    graph: onnxruntime.InferenceSession, feeds: dict[str, NDArray[Any]], device: str
) -> list[Any]:
    """Run a graph and leave its first output on the device; the others come to the CPU."""
    binding = graph.io_binding()
    for name, array in feeds.items():
        binding.bind_cpu_input(name, array)
    first, *others = (output.name for output in graph.get_outputs())
    binding.bind_output(first, device)
    for name in others:
        binding.bind_output(name, "cpu")
    graph.run_with_iobinding(binding)
    return list(binding.get_outputs())


def on_torch(value: Any) -> Any:
    """Copy a float32 output that lies on CUDA into a tensor there; the original may then go."""
    import torch

    class Shared:
        __cuda_array_interface__ = {  # noqa: RUF012 - the protocol wants an attribute
            "shape": tuple(value.shape()),
            "typestr": "<f4",
            "data": (value.data_ptr(), True),
            "version": 3,
        }

    return torch.as_tensor(Shared(), device="cuda").clone()
