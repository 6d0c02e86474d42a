"""Reads the published checkpoints: Whisper's encoder, DIFFA's adapters, LLaDA.

Every tensor is accounted for: a missing, unknown or misshapen one is an error that names it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from engines.adapters import AcousticAdapter, SemanticAdapter
from engines.checkpoints import CheckpointError
from engines.encoder import WhisperEncoder
from engines.llada import LLaDA
from engines.shapes import LLaDAConfig, WhisperConfig

Tensors = dict[str, Tensor]
Config = TypeVar("Config")

TAPS = {
    "whisper-tiny": (0, 1, 2, 3),
    "whisper-small": (2, 5, 8, 11),
    "whisper-medium": (5, 11, 17, 23),
    "whisper-large-v3": (3, 7, 11, 15, 19, 23, 27, 31),
}
"""Encoder states that DIFFA's acoustic adapter listens to."""

STAGE_1_PROMPTS = "trainable_prompts.weight"


class Diffa(nn.Module):
    """Encoder and both adapters: what stands before `LLaDA`."""

    def __init__(
        self,
        encoder: WhisperEncoder,
        semantic: SemanticAdapter,
        acoustic: AcousticAdapter,
        taps: tuple[int, ...],
        prompts: Tensor,
    ) -> None:
        super().__init__()
        self.whisper_model, self.taps = encoder, taps
        self.semantic_connector, self.acoustic_connector = semantic, acoustic
        self.trainable_prompts = nn.Embedding(len(prompts), prompts.shape[1], _weight=prompts)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Turn features [B, mels, 3000], `lengths` [B] of them real, into stage 2's prefix.

        [B, 64 + longest, d] and the lengths [B]. The acoustic adapter sees the padding, too,
        and the semantic one all frames up to the longest clip's: so it was trained.
        """
        acoustic, semantic, lengths = self.parts(features, lengths)
        return torch.cat([acoustic, semantic], dim=1), lengths + acoustic.shape[1]

    def parts(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return acoustic [B, 64, d] and semantic [B, P, d] embeddings, and semantic lengths."""
        states, tapped = self.whisper_model(features, self.taps)
        lengths = self.whisper_model.output_lengths(lengths)
        heard = states[:, : lengths.max()]
        semantic = self.semantic_connector(heard)
        return (
            self.acoustic_connector(tapped),
            semantic,
            self.semantic_connector.output_lengths(lengths),
        )


def read_llada(folder: Path) -> LLaDA:
    """Read a LLaDA folder in Hugging Face's layout, in the precision it is stored in."""
    path, raw = folder / "config.json", read_config(folder)
    if raw.get("n_kv_heads", raw.get("n_heads")) != raw.get("n_heads"):
        raise CheckpointError(f"{path}: grouped key heads are not LLaDA-8B's")
    if raw.get("weight_tying") or raw.get("include_bias"):
        raise CheckpointError(f"{path}: tied weights or biases are not LLaDA-8B's")
    return load_llada(pick_config(LLaDAConfig, raw, path), folder)


def load_llada(
    config: LLaDAConfig, folder: Path, *, device: str = "cpu", dtype: torch.dtype | None = None
) -> LLaDA:
    """Load the weights in `folder`, one file or shards, into a model of known shape."""
    with torch.device("meta"):
        model = LLaDA(config)
    tensors = read_tensors(folder)
    for name, tensor in tensors.items():
        tensors[name] = tensor.to(device=device, dtype=dtype)
    fill(model, tensors, folder)
    return model.eval()


def read_whisper(folder: Path) -> WhisperEncoder:
    """Read the encoder of a Whisper folder in Hugging Face's layout; its decoder is ignored."""
    config = pick_config(WhisperConfig, read_config(folder), folder / "config.json")
    tensors = read_tensors(folder)
    prefix = "model.encoder." if any(name.startswith("model.") for name in tensors) else "encoder."
    encoder = WhisperEncoder(config)
    fill(encoder, part(tensors, prefix), folder)
    return encoder.eval()


def read_diffa(folder: Path, whisper: Path) -> Diffa:
    """Read DIFFA's adapters, and the encoder they were trained with.

    A checkpoint that carries the encoder's own weights overrides `whisper`'s, as in the reference.
    """
    raw = read_config(folder)
    tensors = read_tensors(folder)
    encoder = read_whisper(whisper)
    own = part(tensors, "whisper_model.")
    if own:
        fill(encoder, own, folder)
    semantic, acoustic = part(tensors, "semantic_connector."), part(tensors, "acoustic_connector.")
    taps = _taps(raw, folder, encoder.config.encoder_layers)
    try:
        shape, prompts = semantic["conv.2.weight"].shape, tensors.pop(STAGE_1_PROMPTS)
        d_model = prompts.shape[1]
        weights = acoustic["layer_weights"].shape
        ff = acoustic["qformer.layer.0.intermediate.dense.bias"].shape[0]
    except KeyError as error:
        raise CheckpointError(f"{folder}: tensor {error} is missing; download it again") from error
    if tensors:
        raise CheckpointError(f"{folder}: unknown tensor {next(iter(tensors))}; not a DIFFA file")
    if weights[1] != len(taps):
        raise CheckpointError(f"{folder}: mixes {weights[1]} states, its config taps {len(taps)}")
    model = Diffa(
        encoder,
        SemanticAdapter(shape[1], d_model, hidden=shape[0]),
        AcousticAdapter(
            shape[1],
            d_model,
            taps=len(taps),
            queries=weights[0],
            layers=1 + max(_numbers(acoustic, "qformer.layer.")),
            heads=encoder.config.encoder_attention_heads,
            ff=ff,
        ),
        taps,
        prompts.float(),
    )
    fill(model.semantic_connector, semantic, folder, "semantic_connector.")
    fill(model.acoustic_connector, acoustic, folder, "acoustic_connector.")
    return model.float().eval()


def _taps(raw: Mapping[str, Any], folder: Path, layers: int) -> tuple[int, ...]:
    name = str(raw.get("whisper_model_id", "")).rsplit("/", 1)[-1]
    if name not in TAPS or TAPS[name][-1] > layers:
        raise CheckpointError(
            f"{folder / 'config.json'}: whisper_model_id {name!r} with {layers} layers; "
            f"known are {', '.join(TAPS)}"
        )
    return TAPS[name]


def _numbers(tensors: Tensors, prefix: str) -> list[int]:
    return [int(n.removeprefix(prefix).split(".")[0]) for n in tensors if n.startswith(prefix)]


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


def pick_config(kind: type[Config], raw: Mapping[str, Any], path: Path) -> Config:
    """Take the fields of a shape out of a larger config."""
    names = getattr(kind, "__slots__", ())
    try:
        return kind(**{name: raw[name] for name in names if raw.get(name) is not None})
    except TypeError as error:
        raise CheckpointError(f"{path}: {error}; give a folder as published") from error


def read_tensors(folder: Path) -> Tensors:
    """Read all tensors of a file, or of a folder: shards with an index, one file, or a `.bin`."""
    if folder.is_file() or folder.suffix == ".safetensors":
        return _read_file(folder)
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        return _read_shards(folder, index)
    for name in ("model.safetensors", "pytorch_model.bin"):
        path = folder / name
        if path.is_file():
            return _read_file(path)
    raise CheckpointError(f"{folder}: no model.safetensors nor pytorch_model.bin; download it")


def _read_shards(folder: Path, index: Path) -> Tensors:
    try:
        places: dict[str, str] = json.loads(index.read_text("utf-8"))["weight_map"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{index}: {error}; download it again") from error
    tensors: Tensors = {}
    for name in sorted(set(places.values())):
        if Path(name).name != name:
            raise CheckpointError(f"{index}: {name!r} is not a file name; download it again")
        shard = _read_file(folder / name)
        for key in shard:
            if places.get(key) != name:
                raise CheckpointError(f"{folder / name}: {key} is not in the index")
        tensors |= shard
    for key, name in places.items():
        if key not in tensors:
            raise CheckpointError(f"{folder / name}: tensor {key} is missing; download it again")
    return tensors


def _read_file(path: Path) -> Tensors:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, ValueError, EOFError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: {first}; download it again") from error
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise CheckpointError(f"{path}: holds other things than tensors; not a published file")
    return dict(tensors)


def part(tensors: Tensors, prefix: str) -> Tensors:
    """Take those whose name begins with `prefix` out of `tensors`, and the prefix off."""
    names = [name for name in tensors if name.startswith(prefix)]
    return {name.removeprefix(prefix): tensors.pop(name) for name in names}


def fill(module: nn.Module, tensors: Tensors, source: Path, prefix: str = "") -> None:
    """Load `tensors` into `module`; raise `CheckpointError` unless they match one to one."""
    wanted = module.state_dict()
    for name in wanted.keys() - tensors.keys():
        raise CheckpointError(f"{source}: tensor {prefix}{name} is missing; download it again")
    for name, tensor in tensors.items():
        if name not in wanted:
            raise CheckpointError(f"{source}: unknown tensor {prefix}{name}; another model's")
        if tensor.shape != wanted[name].shape:
            raise CheckpointError(
                f"{source}: {prefix}{name} is {list(tensor.shape)}, "
                f"not {list(wanted[name].shape)}; another model's"
            )
        if not tensor.is_floating_point():
            raise CheckpointError(f"{source}: {prefix}{name} is {tensor.dtype}, not floating point")
    module.load_state_dict(tensors, assign=True)
