"""Tiny random models in the published layouts, of any shape."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from engines.adapters import AcousticAdapter, SemanticAdapter
from engines.encoder import WhisperEncoder
from engines.llada import LLaDA
from engines.shapes import LLaDAConfig, WhisperConfig

LORA = ("q_proj", "k_proj", "v_proj", "ff_proj", "up_proj")


def llada_shape(**changes) -> LLaDAConfig:
    return LLaDAConfig(
        **{
            "d_model": 32,
            "n_layers": 2,
            "n_heads": 4,
            "mlp_hidden_size": 48,
            "embedding_size": 60,
            "mask_token_id": 50,
            "eos_token_id": 49,
            **changes,
        }
    )


def config_of(shape) -> dict:
    return {name: getattr(shape, name) for name in shape.__slots__}


def write_llada(folder: Path, shape: LLaDAConfig, dtype=torch.float32, **config) -> LLaDA:
    """Write config, weights and a tokenizer that calls each id by its number."""
    torch.manual_seed(3)
    model = LLaDA(shape)
    model.init_weights(std=0.3)
    model = model.to(dtype).eval().requires_grad_(requires_grad=False)
    folder.mkdir(parents=True, exist_ok=True)
    written = config_of(shape) | {"n_kv_heads": shape.kv_heads} | config
    (folder / "config.json").write_text(json.dumps(written))
    save_file(model.state_dict(), folder / "model.safetensors")
    write_tokenizer(folder, shape.eos_token_id, shape.mask_token_id + 1)
    return model


def write_tokenizer(folder: Path, end_id: int, size: int) -> None:
    words = {"<|endoftext|>" if i == end_id else f"t{i}": i for i in range(size)}
    tokenizer = Tokenizer(models.WordLevel(words, "t0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    tokenizer.save(str(folder / "tokenizer.json"))


def write_whisper(folder: Path, shape: WhisperConfig) -> None:
    torch.manual_seed(4)
    encoder = WhisperEncoder(shape)
    tensors = {f"model.encoder.{name}": each for name, each in encoder.state_dict().items()}
    tensors["model.decoder.layer_norm.weight"] = torch.ones(shape.d_model)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config_of(shape)))
    save_file(tensors, folder / "model.safetensors")


def diffa_tensors(d_encoder: int, d_model: int, *, taps: int) -> dict[str, torch.Tensor]:
    """The adapters, under the published names."""
    torch.manual_seed(5)
    acoustic = AcousticAdapter(d_encoder, d_model, taps=taps, heads=2, ff=2 * d_encoder)
    parts = {
        "semantic_connector": SemanticAdapter(d_encoder, d_model),
        "acoustic_connector": acoustic,
    }
    tensors = {
        f"{part}.{name}": each
        for part, module in parts.items()
        for name, each in module.state_dict().items()
    }
    return tensors | {"trainable_prompts.weight": torch.randn(20, d_model)}


def lora_tensors(model: LLaDA, rank: int = 8) -> dict[str, torch.Tensor]:
    """DIFFA-2's low-rank updates, under the names that PEFT gives them."""
    tensors = {}
    for name, weight in model.named_parameters():
        if name.split(".")[-2] in LORA:
            full = f"llm_model.base_model.model.{name.removesuffix('.weight')}"
            tensors[f"{full}.lora_A.default.weight"] = torch.randn(rank, weight.shape[1]) / 8
            tensors[f"{full}.lora_B.default.weight"] = torch.randn(weight.shape[0], rank) / 8
    return tensors


def write_diffa(folder: Path, whisper: str, tensors: dict[str, torch.Tensor]) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"whisper_model_id": f"openai/{whisper}"}))
    torch.save(tensors, folder / "pytorch_model.bin")
