"""The published formats become one folder, and that folder says what the reference said."""

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, pre_tokenizers
from typer.testing import CliRunner

from assistant.cli.model import app
from engines.checkpoints import CheckpointError, Manifest
from engines.convert import chat, convert
from engines.diffa import Ask, Engine
from engines.schedule import Schedule, Steps

GOLDEN = Path(__file__).parents[1] / "golden"
DIFFA = GOLDEN / "diffa-tiny"


@pytest.fixture(scope="module")
def llada(tmp_path_factory):
    """The golden language model with a tokenizer that calls each id by its number."""
    folder = tmp_path_factory.mktemp("llada") / "llada-tiny"
    shutil.copytree(GOLDEN / "llada-tiny", folder)
    words = {"<|endoftext|>" if i == 696 else f"t{i}": i for i in range(704)}
    tokenizer = Tokenizer(models.WordLevel(words, "t0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    tokenizer.save(str(folder / "tokenizer.json"))
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
