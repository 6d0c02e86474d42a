import logging
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from assistant.cli.model import app
from engines.backends import RequestError
from engines.checkpoints import Checkpoint, CheckpointError, Manifest
from engines.decoding import BlockEvent
from engines.diffa import QUIET, Ask, Engine, Prefix, _Told
from engines.features import SAMPLE_RATE_HZ
from engines.pauses import cut
from engines.schedule import Exactly, Schedule
from engines.shapes import LLaDAConfig

WHOLE = """
format = 1
name = "tiny"
licence = "MIT"
attention = "block-causal"
stop = ["<|endoftext|>"]
[lm]
d_model = 32
n_layers = 2
n_heads = 2
mlp_hidden_size = 48
embedding_size = 40
mask_token_id = 1
eos_token_id = 0
[prompts]
say = "w1"
[audio]
longest_s = 10.0
[decoding]
block_length = 4
threshold = 0.3
cache = "exact"
"""
NOISE = (np.random.default_rng(0).normal(size=16_000) * 3000).astype(np.int16)


@pytest.fixture(scope="module")
def engine(tiny_folder):
    return Engine.load(tiny_folder, threads=1)


@pytest.fixture
def folder(tiny_folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(tiny_folder, copy)
    return copy


def test_sound_becomes_a_prefix_and_the_prefix_text(engine):
    prefix = engine.encode(NOISE)
    assert prefix.embeddings.shape == (13, 32)  # 1.1 s, with the quiet around it
    assert prefix.seconds == 1.0
    blocks = list(engine.generate([Ask("transcribe", prefix), Ask("say", prefix, "w5 w6")]))
    assert {block.ask for block in blocks} == {0, 1}
    assert sum(block.last for block in blocks) == 2
    words = "".join(block.text for block in blocks if block.ask == 0).split()
    assert words
    assert all(word.startswith("w") for word in words)


def test_integers_and_floats_are_the_same_sound(engine):
    floats = NOISE.astype(np.float32) / 32768
    np.testing.assert_allclose(
        engine.encode(NOISE).embeddings, engine.encode(floats).embeddings, atol=1e-5
    )


def test_a_click_is_long_enough_to_encode(engine):
    assert len(engine.encode(NOISE[:10]).embeddings) >= 1


def test_sound_gets_quiet_around_it_as_far_as_there_is_room(engine):
    longest = round(engine.checkpoint.manifest.audio.longest_s * SAMPLE_RATE_HZ)
    sound = np.resize(NOISE, longest)
    whole = engine.encode(sound).embeddings
    np.testing.assert_array_equal(
        engine.encode(sound[200:-200]).embeddings,
        engine.encode(np.pad(sound[200:-200], 200)).embeddings,
    )
    assert len(engine.encode(sound[: -2 * QUIET]).embeddings) == len(whole)


def test_the_caller_may_choose_how_to_decode(engine):
    ask = Ask("transcribe", schedule=Schedule(4, 4, Exactly(1)))
    assert list(engine.generate([ask]))[-1].passes <= 4


def test_a_character_that_two_blocks_share_is_told_whole():
    pieces = {1: b"na\xc3", 2: b"\xafve ", 3: b"\xf0\x9f", 4: b"\x98\x80"}
    told = _Told(lambda ids: b"".join(pieces[each] for each in ids).decode(errors="replace"))
    events = [
        BlockEvent(0, index, (index + 1,), (1.0,), 1, last=index == 3, stopped=False)
        for index in range(4)
    ]
    assert [told.more(event).text for event in events] == ["na", "\u00efve ", "", "\U0001f600"]


def test_half_a_character_at_the_very_end_is_told_as_what_it_is():
    told = _Told(lambda _: "na\ufffd")
    assert told.more(BlockEvent(0, 0, (1,), (1.0,), 1, last=True, stopped=False)).text == "na\ufffd"


@pytest.mark.parametrize("sample", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_refused(engine, sample):
    sound = np.zeros(16_000, np.float32)
    sound[100] = sample
    with pytest.raises(RequestError, match="not finite numbers"):
        engine.encode(sound)


def test_embeddings_that_are_no_numbers_are_refused(engine):
    prefix = Prefix(np.full((3, 32), np.nan, np.float32), 1.0)
    with pytest.raises(RequestError, match="not all finite"):
        list(engine.generate([Ask("transcribe", prefix)]))


def test_nothing_is_decoded_once_cancelled(engine):
    assert list(engine.generate([Ask("transcribe")], cancel=lambda: True)) == []


def test_texts_are_weighed_token_by_token(engine):
    prefix = engine.encode(NOISE)
    one, two = engine.score(["w3", "w3 w4 w5"], "transcribe", prefix)
    assert one.total == pytest.approx(2 * one.mean)
    assert two.total == pytest.approx(4 * two.mean)
    assert one.total < 0


def test_an_unknown_prompt_is_refused_with_those_there_are(engine):
    with pytest.raises(ValueError, match="this model has transcribe, say"):
        list(engine.generate([Ask("sing")]))


def test_sound_over_the_limit_is_cut_in_its_quietest_place(caplog):
    audio = np.ones(16_000 * 3, dtype=np.float32)
    audio[20_000:20_800] = 0
    with caplog.at_level(logging.WARNING):
        kept = cut(audio, 2.0)
    assert 20_400 <= len(kept) <= 20_800
    assert "over the model's 2 s" in caplog.text


def test_a_manifest_reads_back_as_it_was_written(tiny_folder, tmp_path):
    manifest = Manifest.read(tiny_folder / "model.toml")
    manifest.write(tmp_path / "model.toml")
    assert Manifest.read(tmp_path / "model.toml") == manifest


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("", "not of format 1"),
        ("format = 1\n[lm]\nwidth = 1", "unknown key lm.width"),
        ("format = 1\nname = 3", "name must be of type str, not 3"),
        ("format = 1\nname = 'x'", "missing"),
        ("format = ", "Invalid value"),
        (WHOLE.replace("block-causal", "sideways"), "attention is neither"),
        (WHOLE.replace('say = "', "say = 3 # "), "prompts.say is no text"),
        (WHOLE.replace("longest_s = 10.0", "longest_s = -1.0"), "audio is out of bounds"),
        (WHOLE.replace('cache = "exact"', 'cache = "paged"'), "decoding.cache is none of none"),
        (WHOLE.replace("block_length = 4", "block_length = 0"), "must be at least 1"),
        (WHOLE.replace("threshold = 0.3", "threshold = 0"), "must be above 0 and at most 1"),
        (WHOLE.replace("n_heads = 2", "n_heads = 3"), "d_model 32 is not an even number"),
    ],
)
def test_a_broken_manifest_is_refused_in_one_line(folder, broken, message):
    (folder / "model.toml").write_text(broken)
    with pytest.raises(CheckpointError) as caught:
        Checkpoint.open(folder)
    assert message in str(caught.value)
    assert "model.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["model.toml", "tokenizer.json", "encoder.onnx", "lm.onnx"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
        Engine.load(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "encoder.onnx", "lm.onnx"])
def test_half_a_file_is_named(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
        Engine.load(folder)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no such folder"):
        Engine.load(tmp_path / "nowhere")


def test_a_checkpoint_is_described(tiny_folder):
    result = CliRunner().invoke(app, ["info", str(tiny_folder)])
    assert result.exit_code == 0
    assert "MIT" in result.stdout
    assert "block-causal" in result.stdout


def test_parameters_are_counted_as_published():
    lm = LLaDAConfig(
        d_model=4096,
        n_layers=32,
        n_heads=32,
        mlp_hidden_size=12288,
        embedding_size=126464,
        mask_token_id=126336,
        eos_token_id=126081,
    )
    assert lm.parameters == 8_015_581_184
