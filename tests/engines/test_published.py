"""Other shapes than the golden ones: shared key heads, Whisper large, DIFFA-2; and bad files."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from engines.backends import Context
from engines.backends.torch import TorchBackend
from engines.checkpoints import CheckpointError
from engines.decoding import Request, decode
from engines.lora import merge_lora, take_lora
from engines.published import check_llada, load_llada, read_diffa, read_llada, read_whisper
from engines.schedule import Schedule, Steps
from engines.shapes import WhisperConfig
from tests.engines.published import (
    LORA,
    diffa_tensors,
    llada_shape,
    lora_tensors,
    write_diffa,
    write_llada,
    write_whisper,
)

GOLDEN = Path(__file__).parents[1] / "golden"
LARGE = WhisperConfig(
    d_model=16,
    encoder_layers=32,
    encoder_attention_heads=2,
    encoder_ffn_dim=24,
    num_mel_bins=128,
    max_source_positions=40,
)


def refusal(run, *args):
    with pytest.raises(CheckpointError) as caught:
        run(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_shared_key_heads_compute_what_repeated_ones_do(tmp_path):
    shape = llada_shape(n_kv_heads=2)
    narrow = write_llada(tmp_path / "narrow", shape)
    tensors = load_file(tmp_path / "narrow" / "model.safetensors")
    for name, weight in tensors.items():
        if name.endswith(("k_proj.weight", "v_proj.weight")):
            heads = weight.unflatten(0, (2, shape.head_dim))
            tensors[name] = heads.repeat_interleave(2, dim=0).flatten(0, 1).contiguous()
    write_llada(tmp_path / "wide", llada_shape())
    save_file(tensors, tmp_path / "wide" / "model.safetensors")
    models = [read_llada(tmp_path / name) for name in ("narrow", "wide")]
    ids = torch.arange(20)[None]
    ours, theirs = (model.logits(model(model.embed(ids))) for model in models)
    torch.testing.assert_close(ours, theirs)
    assert narrow.config.parameters == sum(each.numel() for each in narrow.parameters())
    for cache in ("none", "prefix", "dual"):
        made = [responses(model, Schedule(16, 8, Steps(4), cache)) for model in models]
        assert made[0] == made[1]


def responses(model, schedule):
    request = Request(Context(tuple(range(9))), schedule)
    return [(each.tokens, each.passes) for each in decode(TorchBackend(model), [request])]


def test_an_mlp_named_by_its_ratio_loads(tmp_path):
    write_llada(
        tmp_path / "llada", llada_shape(mlp_hidden_size=64), mlp_hidden_size=None, mlp_ratio=2
    )
    assert check_llada(tmp_path / "llada").mlp_hidden_size == 64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight_tying": True}, "weight_tying is True; LLaDA-8B's is False"),
        ({"activation_type": "gelu"}, "activation_type is 'gelu'"),
        ({"d_model": "wide"}, "d_model cannot be 'wide'"),
        ({"n_heads": 5}, "d_model 32 is not an even number times n_heads"),
        ({"n_kv_heads": 3}, "n_heads 4 is no multiple of 3 key heads"),
        ({"n_layers": None}, "missing 1 required"),
    ],
)
def test_a_config_of_another_architecture_is_refused(tmp_path, change, message):
    write_llada(tmp_path / "llada", llada_shape(), **change)
    said = refusal(check_llada, tmp_path / "llada")
    assert message in said
    assert "config.json" in said


def test_a_shard_of_another_type_is_named(tmp_path):
    write_llada(tmp_path / "llada", llada_shape(), torch.bfloat16)
    tensors = load_file(tmp_path / "llada" / "model.safetensors")
    name = "model.transformer.ln_f.weight"
    save_file(tensors | {name: tensors[name].half()}, tmp_path / "llada" / "model.safetensors")
    said = refusal(load_llada, llada_shape(), tmp_path / "llada")
    assert f"{name} is torch.float16, the others are torch.bfloat16" in said


def test_eight_bit_floats_are_refused(tmp_path):
    write_llada(tmp_path / "llada", llada_shape())
    tensors = load_file(tmp_path / "llada" / "model.safetensors")
    save_file(
        {name: each.to(torch.float8_e4m3fn) for name, each in tensors.items()},
        tmp_path / "llada" / "model.safetensors",
    )
    assert "float8_e4m3fn; weights are floats" in refusal(check_llada, tmp_path / "llada")


def test_shards_of_the_older_kind_load(tmp_path):
    model = write_llada(tmp_path / "llada", llada_shape())
    tensors = load_file(tmp_path / "llada" / "model.safetensors")
    (tmp_path / "llada" / "model.safetensors").unlink()
    names = sorted(tensors)
    places = {}
    for number, part in enumerate((names[:5], names[5:])):
        file = f"pytorch_model-{number}.bin"
        torch.save({name: tensors[name] for name in part}, tmp_path / "llada" / file)
        places |= dict.fromkeys(part, file)
    index = tmp_path / "llada" / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    read = read_llada(tmp_path / "llada")
    torch.testing.assert_close(read.state_dict(), model.state_dict())


class Surprise:
    def __reduce__(self):
        return (pytest.fail, ("code in a checkpoint was run",))


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    shutil.copytree(GOLDEN / "diffa-tiny" / "diffa", tmp_path / "diffa")
    path = tmp_path / "diffa" / "pytorch_model.bin"
    for content in (pickle.dumps({"x": Surprise()}), b"", path.read_bytes()[:5000]):
        path.write_bytes(content)
        said = refusal(read_diffa, tmp_path / "diffa", GOLDEN / "diffa-tiny" / "whisper")
        assert said.startswith(f"{path}: ")


@pytest.mark.parametrize(
    "drop", ["semantic_connector.conv.0.bias", "acoustic_connector.proj.1.bias"]
)
def test_a_missing_tensor_of_the_adapters_is_named(tmp_path, drop):
    tensors = diffa_tensors(16, 32, taps=8)
    del tensors[drop]
    write_diffa(tmp_path / "diffa", "whisper-large-v3", tensors)
    write_whisper(tmp_path / "whisper", LARGE)
    said = refusal(read_diffa, tmp_path / "diffa", tmp_path / "whisper")
    assert f"tensor {drop} is missing" in said


PROMPTS = "trainable_prompts.weight"
WEIGHTS = "acoustic_connector.layer_weights"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (PROMPTS, lambda t: t.long(), f"{PROMPTS} is torch.int64"),
        (PROMPTS, lambda t: t.bfloat16(), f"{PROMPTS} is torch.bfloat16"),
        (PROMPTS, torch.flatten, "not of 2 dimensions"),
        (PROMPTS, lambda t: t[:, :7].clone(), f"{PROMPTS} is [20, 7], not of width 32"),
        (WEIGHTS, torch.flatten, "layer_weights is [512], not of 2 dimensions"),
        ("semantic_connector.conv.2.weight", torch.flatten, "not of 3 dimensions"),
    ],
)
def test_a_misshapen_tensor_of_the_adapters_is_named(tmp_path, name, change, message):
    tensors = diffa_tensors(16, 32, taps=8)
    tensors[name] = change(tensors[name])
    write_diffa(tmp_path / "diffa", "whisper-large-v3", tensors)
    write_whisper(tmp_path / "whisper", LARGE)
    assert message in refusal(read_diffa, tmp_path / "diffa", tmp_path / "whisper")


@pytest.mark.parametrize("number", ["x", "7"])
def test_a_layer_of_the_adapter_that_cannot_be_is_named(tmp_path, number):
    tensors = diffa_tensors(16, 32, taps=8)
    tensors[f"acoustic_connector.qformer.layer.{number}.odd"] = torch.zeros(2)
    write_diffa(tmp_path / "diffa", "whisper-large-v3", tensors)
    write_whisper(tmp_path / "whisper", LARGE)
    said = refusal(read_diffa, tmp_path / "diffa", tmp_path / "whisper")
    assert f"unknown tensors qformer.layer.{number}" in said


def test_whisper_large_and_eight_taps_load(tmp_path):
    write_whisper(tmp_path / "whisper", LARGE)
    write_diffa(tmp_path / "diffa", "whisper-large-v3", diffa_tensors(16, 32, taps=8))
    model = read_diffa(tmp_path / "diffa", tmp_path / "whisper")
    assert model.taps == (3, 7, 11, 15, 19, 23, 27, 31)
    prefix, lengths = model(torch.randn(1, 128, 80), torch.tensor([80]))
    assert prefix.shape == (1, 64 + 10, 32)
    assert lengths.tolist() == [74]


def test_whisper_of_another_depth_than_its_name_is_refused(tmp_path):
    write_whisper(tmp_path / "whisper", LARGE)
    write_diffa(tmp_path / "diffa", "whisper-huge", diffa_tensors(16, 32, taps=8))
    assert "known are" in refusal(read_diffa, tmp_path / "diffa", tmp_path / "whisper")


def test_a_truncated_whisper_is_named(tmp_path):
    write_whisper(tmp_path / "whisper", LARGE)
    path = tmp_path / "whisper" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert "model.safetensors" in refusal(read_whisper, tmp_path / "whisper")


def test_low_rank_updates_are_added_to_their_weights(tmp_path):
    """DIFFA-2: rank 8 and alpha 16, so an update counts twice."""
    model = write_llada(tmp_path / "llada", llada_shape())
    before = {name: each.clone() for name, each in model.named_parameters()}
    tensors = lora_tensors(model)
    factors = dict(tensors)
    merge_lora(model, take_lora(tensors), Path("diffa"))
    assert tensors == {}
    for name, weight in model.named_parameters():
        wanted = before[name]
        if name.split(".")[-2] in LORA:
            full = f"llm_model.base_model.model.{name.removesuffix('.weight')}"
            a, b = (factors[f"{full}.lora_{each}.default.weight"] for each in "AB")
            wanted = wanted + 2 * b @ a
        torch.testing.assert_close(weight, wanted)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda n: "blocks.1.q_proj.lora_A" in n, "has no counterpart"),
        (lambda n: "blocks.1.q_proj.lora_B" in n, "has no counterpart"),
        (lambda n: "blocks.1.q_proj" in n, "blocks.1.q_proj.weight is missing"),
    ],
)
def test_an_incomplete_set_of_low_rank_updates_is_refused(tmp_path, spoil, message):
    model = write_llada(tmp_path / "llada", llada_shape())
    tensors = {name: each for name, each in lora_tensors(model).items() if not spoil(name)}
    assert message in refusal(merge_lora, model, take_lora(tensors), Path("diffa"))


def test_low_rank_updates_of_another_model_are_refused(tmp_path):
    model = write_llada(tmp_path / "llada", llada_shape())
    other = write_llada(tmp_path / "other", llada_shape(d_model=40))
    updates = take_lora(lora_tensors(other))
    assert "another model's" in refusal(merge_lora, model, updates, Path("diffa"))
