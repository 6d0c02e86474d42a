"""Reads published files: JSON configs, safetensors whole or in shards, and the one `.bin`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
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


def read_tensors(
    source: Path, *, headers: bool = False, place: Callable[[Tensor], Tensor] = lambda t: t
) -> Tensors:
    """Read all tensors of a file, or of a folder: one file, or shards with an index.

    `place` is given each tensor as it is read, to move or convert it: a model never lies in memory
    twice. With `headers` the tensors are on the meta device: shapes and types without the numbers.
    """
    if source.is_file() or source.suffix == ".safetensors":
        return _read_file(source, headers, place)
    for name in ("model.safetensors", "pytorch_model.bin"):
        path, index = source / name, source / f"{name}.index.json"
        if index.is_file():
            return _read_shards(index, headers, place)
        if path.is_file():
            return _read_file(path, headers, place)
    raise CheckpointError(f"{source}: no model.safetensors nor pytorch_model.bin; download it")


def _read_shards(index: Path, headers: bool, place: Callable[[Tensor], Tensor]) -> Tensors:
    places = _weight_map(index)
    tensors: Tensors = {}
    for name in sorted(set(places.values())):
        path = index.parent / name
        shard = _read_file(path, headers, place)
        for key in shard:
            if places.get(key) != name:
                raise CheckpointError(f"{path}: {key} is not in the index; download it again")
        tensors |= shard
    for key, name in places.items():
        if key not in tensors:
            raise CheckpointError(
                f"{index.parent / name}: tensor {key} is missing; download it again"
            )
    return tensors


def _weight_map(index: Path) -> dict[str, str]:
    """Read which file holds which tensor."""
    try:
        places = json.loads(index.read_text("utf-8"))["weight_map"]
        names = set(places.values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{index}: {error}; download it again") from error
    for name in names:
        if not isinstance(name, str) or Path(name).name != name:
            raise CheckpointError(f"{index}: {name!r} is not a file name; download it again")
    return dict(places)


def _read_file(path: Path, headers: bool, place: Callable[[Tensor], Tensor]) -> Tensors:
    try:
        if path.suffix == ".safetensors":
            return _headers(path) if headers else _safetensors(path, place)
        # meta tensors take no memory, and a pickle that is more than tensors is refused
        where = "meta" if headers else "cpu"
        tensors = torch.load(path, map_location=where, weights_only=True, mmap=not headers or None)
    except Exception as error:  # a damaged pickle can raise nearly anything
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: {first}; download it again") from error
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise CheckpointError(f"{path}: holds other things than tensors; not a published file")
    return {str(name): tensor if headers else place(tensor) for name, tensor in tensors.items()}


def _safetensors(path: Path, place: Callable[[Tensor], Tensor]) -> Tensors:
    with safe_open(path, framework="pt") as file:
        names = list(file.keys())
        return {name: place(file.get_tensor(name)) for name in names}


def _headers(path: Path) -> Tensors:
    """Describe a file's tensors; its length is checked, their numbers are not read."""
    with safe_open(path, framework="pt") as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        return {
            name: torch.empty(part.get_shape(), dtype=_dtype(part.get_dtype()), device="meta")
            for name, part in slices.items()
        }


_CODES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I32": torch.int32,
    "I64": torch.int64,
}
"""Safetensors' names of types."""


def _dtype(code: str) -> torch.dtype:
    """Translate a type's name; what is not known here is no weight either."""
    return _CODES.get(code, torch.int64)
