"""Reads published files: JSON configs, safetensors whole or in shards, and the one `.bin`."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from engines.checkpoints import CheckpointError

Tensors = dict[str, Tensor]


def read_config(folder: Path) -> dict[str, Any]:
    """Read `config.json`."""
    path = folder / "config.json"
    try:
        raw = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: {error}; give a folder as published") from error
    if not isinstance(raw, dict):
        raise CheckpointError(f"{path}: not an object; give a folder as published")
    return raw


def read_tensors(folder: Path, *, headers: bool = False) -> Tensors:
    """Read all tensors of a file, or of a folder: shards with an index, one file, or a `.bin`.

    With `headers` the tensors are on the meta device: shapes and types without the numbers.
    """
    if folder.is_file() or folder.suffix == ".safetensors":
        return _read_file(folder, headers)
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        return _read_shards(folder, index, headers)
    for name in ("model.safetensors", "pytorch_model.bin"):
        path = folder / name
        if path.is_file():
            return _read_file(path, headers)
    raise CheckpointError(f"{folder}: no model.safetensors nor pytorch_model.bin; download it")


def _read_shards(folder: Path, index: Path, headers: bool) -> Tensors:
    try:
        places: dict[str, str] = json.loads(index.read_text("utf-8"))["weight_map"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{index}: {error}; download it again") from error
    tensors: Tensors = {}
    for name in sorted(set(places.values())):
        if Path(name).name != name:
            raise CheckpointError(f"{index}: {name!r} is not a file name; download it again")
        shard = _read_file(folder / name, headers)
        for key in shard:
            if places.get(key) != name:
                raise CheckpointError(f"{folder / name}: {key} is not in the index")
        tensors |= shard
    for key, name in places.items():
        if key not in tensors:
            raise CheckpointError(f"{folder / name}: tensor {key} is missing; download it again")
    return tensors


def _read_file(path: Path, headers: bool) -> Tensors:
    try:
        if path.suffix == ".safetensors":
            return _headers(path) if headers else load_file(path)
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, ValueError, EOFError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: {first}; download it again") from error
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise CheckpointError(f"{path}: holds other things than tensors; not a published file")
    return dict(tensors)


def _headers(path: Path) -> Tensors:
    """Describe a file's tensors; its length is checked, their numbers are not read."""
    with safe_open(path, framework="pt") as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        return {
            name: torch.empty(part.get_shape(), dtype=_dtype(part.get_dtype()), device="meta")
            for name, part in slices.items()
        }


def _dtype(code: str) -> torch.dtype:
    """Translate safetensors' names of the types that weights come in; others are no weights."""
    known = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16}
    return (known | {"BF16": torch.bfloat16}).get(code, torch.int64)
