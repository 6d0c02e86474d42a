"""Reads the published checkpoints: Whisper's encoder, DIFFA's adapters, LLaDA.

Every tensor is accounted for: a missing, unknown or misshapen one is an error that names it.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from engines.adapters import AcousticAdapter, SemanticAdapter
from engines.checkpoints import CheckpointError
from engines.encoder import WhisperEncoder
from engines.files import Tensors, read_config, read_tensors
from engines.llada import LLaDA
from engines.lora import Updates, take_lora
from engines.shapes import LLaDAConfig, WhisperConfig

Config = TypeVar("Config")

TAPS = {
    "whisper-tiny": (0, 1, 2, 3),
    "whisper-small": (2, 5, 8, 11),
    "whisper-medium": (5, 11, 17, 23),
    "whisper-large-v3": (3, 7, 11, 15, 19, 23, 27, 31),
}
"""Encoder states that DIFFA's acoustic adapter listens to."""

AS_PUBLISHED: Mapping[str, object] = {
    "weight_tying": False,
    "include_bias": False,
    "include_qkv_bias": False,
    "bias_for_layer_norm": False,
    "alibi": False,
    "rope": True,
    "scale_logits": False,
    "input_emb_norm": False,
    "attention_layer_norm": False,
    "multi_query_attention": False,
    "block_type": "llama",
    "activation_type": "silu",
    "layer_norm_type": "rms",
}
"""What a LLaDA config may say of how it computes; another value is another architecture."""

WEIGHTS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
"""Types that a published weight can have."""

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
        self.lora: Updates = {}

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Turn features [B, mels, 3000], `lengths` [B] of them real, into stage 2's prefix.

        [B, 64 + 375, d] and the lengths [B]; what is behind a length is padding. The acoustic
        adapter sees the padding, too: so it was trained. No real semantic embedding does.
        """
        acoustic, semantic, lengths = self.parts(features, lengths)
        return torch.cat([acoustic, semantic], dim=1), lengths + acoustic.shape[1]

    def parts(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return acoustic [B, 64, d] and semantic [B, P, d] embeddings, and semantic lengths."""
        states, tapped = self.whisper_model(features, self.taps)
        lengths = self.whisper_model.output_lengths(lengths)
        return (
            self.acoustic_connector(tapped),
            self.semantic_connector(states),
            self.semantic_connector.output_lengths(lengths),
        )


def read_llada(folder: Path) -> LLaDA:
    """Read a LLaDA folder in Hugging Face's layout, in the precision it is stored in."""
    return load_llada(_llada_config(folder), folder)


def check_llada(folder: Path) -> LLaDAConfig:
    """Return the shape of a LLaDA folder whose files hold all tensors, without reading them."""
    config = _llada_config(folder)
    _from_headers(config, folder)
    return config


def _from_headers(config: LLaDAConfig, folder: Path) -> LLaDA:
    """Check names, shapes and types of what `folder` holds; return the model without numbers."""
    with torch.device("meta"):
        model = LLaDA(config)
        fill(model, read_tensors(folder, headers=True), folder)
    return model


def _llada_config(folder: Path) -> LLaDAConfig:
    path, raw = folder / "config.json", read_config(folder)
    for name, published in AS_PUBLISHED.items():
        if (value := raw.get(name)) not in (None, published):
            raise CheckpointError(f"{path}: {name} is {value!r}; LLaDA-8B's is {published!r}")
    ratio, width = raw.get("mlp_ratio"), raw.get("d_model")
    if not raw.get("mlp_hidden_size") and isinstance(ratio, int) and isinstance(width, int):
        raw["mlp_hidden_size"] = ratio * width
    return pick_config(LLaDAConfig, raw, path)


def stored_type(folder: Path) -> torch.dtype:
    """Return the type of number that most weights in a folder have, without reading them."""
    types = Counter(tensor.dtype for tensor in read_tensors(folder, headers=True).values())
    return max(types, key=types.__getitem__, default=torch.float32)


def load_llada(
    config: LLaDAConfig, folder: Path, *, device: str = "cpu", dtype: torch.dtype | None = None
) -> LLaDA:
    """Load the weights in `folder`, one file or shards, into a model of known shape."""
    model = _from_headers(config, folder)
    tensors = read_tensors(folder, place=lambda tensor: tensor.to(device=device, dtype=dtype))
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

    It may carry a copy of the encoder; `whisper`'s weights are used, as in the reference.
    """
    raw = read_config(folder)
    tensors = read_tensors(folder)
    encoder = read_whisper(whisper)
    own = part(tensors, "whisper_model.")
    if own:
        fill(WhisperEncoder(encoder.config), own, folder, "whisper_model.")
    lora = take_lora(tensors)
    semantic, acoustic = part(tensors, "semantic_connector."), part(tensors, "acoustic_connector.")
    taps = _taps(raw, folder, encoder.config.encoder_layers)
    hidden, width, _ = _shape(semantic, "conv.2.weight", 3, folder)
    d_model, _ = _shape(semantic, "linear_connector.2.weight", 2, folder)
    queries, mixed = _shape(acoustic, "layer_weights", 2, folder)
    (ff,) = _shape(acoustic, "qformer.layer.0.intermediate.dense.bias", 1, folder)
    prompts = _prompts(tensors, d_model, folder)
    _check_uniform(semantic | {STAGE_1_PROMPTS: prompts}, folder, "")
    if tensors:
        raise CheckpointError(f"{folder}: unknown tensor {next(iter(tensors))}; not a DIFFA file")
    if mixed != len(taps):
        raise CheckpointError(f"{folder}: mixes {mixed} states, its config taps {len(taps)}")
    model = Diffa(
        encoder,
        SemanticAdapter(width, d_model, hidden=hidden),
        AcousticAdapter(
            width,
            d_model,
            taps=len(taps),
            queries=queries,
            layers=_layers(acoustic, folder),
            heads=encoder.config.encoder_attention_heads,
            ff=ff,
        ),
        taps,
        prompts.float(),
    )
    fill(model.semantic_connector, semantic, folder, "semantic_connector.")
    fill(model.acoustic_connector, acoustic, folder, "acoustic_connector.")
    model.lora = lora
    return model.float().eval()


def _taps(raw: Mapping[str, Any], folder: Path, layers: int) -> tuple[int, ...]:
    name = str(raw.get("whisper_model_id", "")).rstrip("/").rsplit("/", 1)[-1]
    if name not in TAPS or TAPS[name][-1] >= layers:
        raise CheckpointError(
            f"{folder / 'config.json'}: whisper_model_id {name!r} with {layers} layers; "
            f"known are {', '.join(TAPS)}"
        )
    return TAPS[name]


def _shape(tensors: Tensors, name: str, dimensions: int, folder: Path) -> torch.Size:
    """The shape of a tensor that others' shapes follow from; raises `CheckpointError`."""
    if name not in tensors:
        raise CheckpointError(f"{folder}: tensor {name} is missing; download it again")
    shape = tensors[name].shape
    if len(shape) != dimensions:
        raise CheckpointError(
            f"{folder}: {name} is {list(shape)}, not of {dimensions} dimensions; another model's"
        )
    return shape


def _prompts(tensors: Tensors, d_model: int, folder: Path) -> Tensor:
    """Take the prompts of stage 1 out of `tensors`."""
    shape = _shape(tensors, STAGE_1_PROMPTS, 2, folder)
    if shape[1] != d_model:
        raise CheckpointError(
            f"{folder}: {STAGE_1_PROMPTS} is {list(shape)}, not of width {d_model}; another model's"
        )
    return tensors.pop(STAGE_1_PROMPTS)


def _layers(acoustic: Tensors, folder: Path) -> int:
    """How many layers the Q-Former has; they are numbered from 0, and no number is left out."""
    prefix = "qformer.layer."
    named = [name.removeprefix(prefix) for name in acoustic if name.startswith(prefix)]
    numbers = {name.split(".")[0] for name in named}
    if odd := numbers - set(map(str, range(len(numbers)))):
        raise CheckpointError(f"{folder}: unknown tensors {prefix}{min(odd)}; another model's")
    return len(numbers)


def pick_config(kind: type[Config], raw: Mapping[str, Any], path: Path) -> Config:
    """Take the fields of a shape out of a larger config."""
    names = getattr(kind, "__slots__", ())
    try:
        return kind(**{name: raw[name] for name in names if raw.get(name) is not None})
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: {error}; give a folder as published") from error


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
        if tensor.dtype not in WEIGHTS:
            raise CheckpointError(f"{source}: {prefix}{name} is {tensor.dtype}; weights are floats")
    _check_uniform(tensors, source, prefix)
    module.load_state_dict(tensors, assign=True)


def _check_uniform(tensors: Tensors, source: Path, prefix: str) -> None:
    """Raise `CheckpointError` that names a tensor of another type than most."""
    types = Counter(tensor.dtype for tensor in tensors.values())
    (usual, _), *others = types.most_common()
    for name, tensor in tensors.items():
        if others and tensor.dtype != usual:
            raise CheckpointError(
                f"{source}: {prefix}{name} is {tensor.dtype}, the others are {usual}; "
                "download its file again"
            )
