"""The published formats become one folder, and that folder says what the reference said."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from assistant.cli.main import app as whole_app
from assistant.cli.model import app
from engines.backends.onnx import session
from engines.checkpoints import CheckpointError, DecodingDefaults, Manifest
from engines.convert import convert
from engines.diffa import Ask, Engine
from engines.export import export_encoder
from engines.prompts import chat
from engines.published import read_diffa
from engines.schedule import Schedule, Steps
from tests.engines.published import (
    diffa_tensors,
    llada_shape,
    lora_tensors,
    write_diffa,
    write_llada,
    write_tokenizer,
    write_whisper,
)
from tests.engines.test_published import LARGE

GOLDEN = Path(__file__).parents[1] / "golden"
DIFFA = GOLDEN / "diffa-tiny"


@pytest.fixture(scope="module")
def llada(tmp_path_factory):
    """The golden language model with a tokenizer that calls each id by its number."""
    folder = tmp_path_factory.mktemp("llada") / "llada-tiny"
    shutil.copytree(GOLDEN / "llada-tiny", folder)
    write_tokenizer(folder, 696, 704)
    return folder


@pytest.fixture(scope="module")
def converted(llada, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "diffa"
    arguments = ["--whisper", DIFFA / "whisper", "--diffa", DIFFA / "diffa", "--llada", llada]
    result = CliRunner().invoke(app, ["convert", *map(str, arguments), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "non-commercial" in result.stdout
    return out


def test_a_converted_folder_gives_the_references_tokens_from_sound(converted):
    vectors = load_file(DIFFA / "vectors.safetensors")
    prompt = vectors["generate.0.prompt"][0].tolist()
    wanted = vectors["generate.0.output"][0].tolist()[len(prompt) :]
    words = [f"t{i}" for i in prompt]
    manifest = Manifest.read(converted / "model.toml")
    manifest.prompts["golden"] = " ".join([*words[:9], "{audio}", *words[9:]])
    manifest.write(converted / "model.toml")
    engine = Engine.load(converted, threads=1, device="cpu")
    prefix = engine.encode(vectors["audio"].numpy())
    assert prefix.embeddings.shape == (114, 64)
    asked = Ask("golden", prefix, schedule=Schedule(16, 16, Steps(16), "none"))
    text = "".join(block.text for block in engine.generate([asked]))
    assert text.split() == [f"t{i}" for i in wanted]


def test_asking_a_converted_folder_gives_the_references_tokens(converted, tmp_path):
    """The whole way, as a user goes it: a recording, `assistant ask`, and what was heard."""
    vectors = load_file(DIFFA / "vectors.safetensors")
    case = json.loads((DIFFA / "cases.json").read_text())[3]
    prompt = vectors["generate.3.prompt"][0].tolist()
    wanted = vectors["generate.3.output"][0].tolist()[len(prompt) :]
    folder, recording = tmp_path / "diffa", tmp_path / "request.wav"
    shutil.copytree(converted, folder)
    words, at = [f"t{i}" for i in prompt], case["audio_position"]
    asked = " ".join([*words[:at], "{audio}", *words[at:]])
    manifest = Manifest.read(folder / "model.toml")
    # one token a pass and nothing kept between passes: the reference's own way
    decoding = DecodingDefaults(case["block_length"], case["gen_length"], cache="none")
    prompts = dict.fromkeys(("transcribe", "answer"), asked)
    replace(manifest, prompts=prompts, decoding=decoding).write(folder / "model.toml")
    soundfile.write(recording, vectors["audio"].numpy(), 16_000, subtype="PCM_16")

    command = ["ask", str(recording), "--json", "--model", str(folder)]
    command += ["--set", "engine.threshold=1", "--set", "engine.device=cpu"]
    command += ["--set", f"state_folder={tmp_path}", "--set", "engine.threads=1"]
    result = CliRunner().invoke(whole_app, command)

    assert result.exit_code == 0, result.output
    answered = json.loads(result.stdout)
    assert answered["transcript"].split() == [f"t{i}" for i in wanted]
    assert answered["text"].split() == [f"t{i}" for i in wanted]
    assert answered["passes"] == case["steps"]


@pytest.mark.parametrize(("samples", "heard"), [(0, 0), (800, 0), (1600, 1), (4000, 3)])
def test_of_a_short_clip_as_much_is_heard_as_the_reference_hears(converted, samples, heard):
    """A state for every two frames of 10 ms, an embedding for every four states."""
    engine = Engine.load(converted, threads=1, device="cpu")
    assert len(engine.encode(np.zeros(samples, np.int16)).embeddings) == 64 + heard


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A Whisper of four layers, DIFFA's adapters with DIFFA-2's updates, a LLaDA of two layers."""
    folder = tmp_path_factory.mktemp("small")
    model = write_llada(
        folder / "llada", llada_shape(embedding_size=56, mask_token_id=51, eos_token_id=50)
    )
    write_whisper(folder / "whisper", replace(LARGE, encoder_layers=4))
    factors = lora_tensors(model)
    tensors = diffa_tensors(16, 32, taps=4) | dict(factors)
    write_diffa(folder / "diffa", "whisper-tiny", tensors)
    sources = {name: folder / name for name in ("whisper", "diffa", "llada")}
    return sources, factors


def test_low_rank_updates_are_merged_into_what_is_written(small, tmp_path):
    sources, factors = small
    convert(**sources, out=tmp_path / "out", half=True)
    full = f"llm_model.base_model.model.{UPDATED}"
    a, b = (factors[f"{full}.lora_{each}.default.weight"] for each in "AB")
    before = load_file(sources["llada"] / "model.safetensors")[f"{UPDATED}.weight"]
    after = load_file(tmp_path / "out" / "model.safetensors")[f"{UPDATED}.weight"]
    torch.testing.assert_close(after, before + 2 * b @ a)
    engine = Engine.load(tmp_path / "out", threads=1, device="cpu")
    assert engine.encode(np.zeros(3000, np.int16)).embeddings.shape[1] == 32


UPDATED = "model.transformer.blocks.1.up_proj"


def test_an_encoder_in_half_precision_hears_nearly_the_same_in_half_the_space(small, tmp_path):
    sources, _ = small
    model = read_diffa(sources["diffa"], sources["whisper"])
    shape = {"mels": LARGE.num_mel_bins, "frames": 2 * LARGE.max_source_positions, "fixed": True}
    heard, sizes = [], []  # what is said of the sound, and the bytes of the weights
    for name, half in (("whole", False), ("half", True)):
        path = tmp_path / f"{name}.onnx"
        export_encoder(model, path, **shape, half=half)
        noise = np.random.default_rng(0).normal(size=(1, 128, 80)).astype(np.float32)
        feeds = {"features": noise, "lengths": np.array([80])}
        heard.append(session(path, 1).run(None, feeds)[0])
        weights = onnx.load(path).graph.initializer
        sizes.append(sum(onnx.numpy_helper.to_array(each).nbytes for each in weights))
    assert 0 < np.abs(heard[1] - heard[0]).max() < 5e-2
    assert sizes[1] < 0.6 * sizes[0]


def test_three_folders_or_the_hub_are_asked_for(tmp_path):
    result = CliRunner().invoke(app, ["convert", "--out", str(tmp_path / "out")])
    assert "or download them with --hub" in str(result.exception)


@pytest.mark.parametrize("part", ["whisper", "diffa", "llada"])
def test_a_folder_that_is_not_a_checkpoint_is_named(llada, tmp_path, part):
    sources = {"whisper": DIFFA / "whisper", "diffa": DIFFA / "diffa", "llada": llada}
    for wrong in (tmp_path / "empty", tmp_path / "nowhere"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(CheckpointError, match=rf"^{re.escape(str(wrong))}.*config\.json"):
            convert(**(sources | {part: wrong}), out=tmp_path / "out")


def test_a_tokenizer_of_another_model_is_refused(llada, tmp_path):
    broken = tmp_path / "llada"
    shutil.copytree(llada, broken)
    write_tokenizer(broken, 0, 2000)
    named = rf"^{re.escape(str(broken))}/tokenizer\.json: 2000 tokens do not fit .* of 704 rows"
    with pytest.raises(CheckpointError, match=named):
        convert(
            whisper=DIFFA / "whisper", diffa=DIFFA / "diffa", llada=broken, out=tmp_path / "out"
        )
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_is_left_alone(llada, tmp_path):
    with pytest.raises(CheckpointError, match="is there already"):
        convert(whisper=DIFFA / "whisper", diffa=DIFFA / "diffa", llada=llada, out=tmp_path)


def test_a_failed_conversion_leaves_nothing_behind(llada, tmp_path):
    broken = tmp_path / "llada"
    shutil.copytree(llada, broken)
    (broken / "tokenizer.json").write_text("{")
    target = tmp_path / "to" / "out"
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        convert(whisper=DIFFA / "whisper", diffa=DIFFA / "diffa", llada=broken, out=target)
    assert list(target.parent.iterdir()) == []


def test_the_dialogue_is_llada_s_template():
    assert chat("hello ").endswith(
        "<|start_header_id|>user<|end_header_id|>\n\nhello <|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    assert chat("hello").count("<|startoftext|>") == 1
