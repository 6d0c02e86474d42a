"""nano's encoder may begin with Whisper's: some layers stay, others move slowly."""

import json
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from engines.checkpoints import CheckpointError  # noqa: E402
from engines.nano_encoder import NanoEncoder, NanoEncoderConfig  # noqa: E402
from engines.published import read_whisper  # noqa: E402
from engines.shapes import WhisperConfig  # noqa: E402
from engines.training.pretrained import POSITIONS  # noqa: E402
from engines.training.recipe import Options, train  # noqa: E402
from engines.training.runs import STAGES, read_state, under  # noqa: E402

WHISPER = Path(__file__).parents[1] / "golden" / "diffa-tiny" / "whisper"
PUBLISHED = json.loads((WHISPER / "config.json").read_text())
SECONDS = 4
SHAPE = {name: PUBLISHED[name] for name in WhisperConfig.__slots__ if name in PUBLISHED} | {
    "max_source_positions": 50 * SECONDS
}


@pytest.fixture
def run(run):
    """A run whose encoder begins with Whisper, half of which stays as it is."""
    lines = [f"{name} = {value}" for name, value in SHAPE.items()]
    path = run / "encoder.toml"
    pretrained = "[pretrained]\nrate_share = 0.1\nfrozen_layers = 1\n"
    text = path.read_text().replace("[shape]", f"{pretrained}[shape]")
    path.write_text("\n".join([text, "[shape.whisper]", *lines]))
    return run


def whisper(run):
    return under("encoder.stem.whisper.", read_state(run / "encoder.pt")["model"])


def test_what_is_frozen_stays_as_published_and_the_rest_moves(run):
    train("encoder", run, Options(threads=1, whisper=str(WHISPER)))
    published = read_whisper(WHISPER).state_dict()
    published[POSITIONS] = published[POSITIONS][: 50 * SECONDS]
    now = whisper(run)
    assert now.keys() == published.keys()
    still = {name for name in now if torch.equal(now[name], published[name])}
    assert {name for name in now if name.startswith(("conv", "embed_positions", "layers.0."))} == (
        still
    )
    far = max((now[name] - published[name]).abs().max() for name in now)
    assert far < 4 * 3e-3 * 0.1 * 2  # steps, rate, share; AdamW moves a weight by about the rate


def test_a_resumed_run_needs_whisper_no_more_and_ends_the_same(run, tmp_path):
    twin = Path(shutil.copytree(run, tmp_path / "twin"))
    train("encoder", run, Options(threads=1, whisper=str(WHISPER)))
    train("encoder", twin, Options(threads=1, whisper=str(WHISPER), hours=0.0))
    train("encoder", twin, Options(threads=1))
    assert read_state(twin / "encoder.pt")["step"] == read_state(run / "encoder.pt")["step"] == 4
    left, right = (read_state(each / "encoder.pt")["model"] for each in (run, twin))
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_every_stage_follows_to_a_shipped_model_that_hears(run, tmp_path):
    pytest.importorskip("onnx")
    import numpy as np

    from engines.diffa import Engine
    from engines.stock import Questions
    from engines.training.adopting import adopt
    from engines.training.counting import count_words
    from engines.training.recipe import assemble, fresh, fresh_speller
    from engines.training.shipping import ship

    for stage in STAGES:
        train(stage, run, Options(threads=1, whisper=str(WHISPER)))
    model, _ = assemble(run)
    ship(
        model,
        run / "tokenizer.json",
        count_words([("turn on the light", 9)]),
        Questions((), (), ()),
        tmp_path / "nano",
        name="tiny",
        int8=True,
    )
    assert "OpenAI" in (tmp_path / "nano" / "whisper.LICENSE").read_text()
    adopted = tmp_path / "adopted"
    shutil.copytree(run, adopted, ignore=shutil.ignore_patterns("*.pt"))
    adopt(tmp_path / "nano", adopted, fresh(adopted), *fresh_speller(adopted))
    train("encoder", adopted, Options(threads=1, hours=0.0))
    before, after = whisper(run), whisper(adopted)
    assert before.keys() == after.keys()
    far = max((after[name] - old).abs().max() for name, old in before.items())
    assert 0 < far < 0.05  # a step further, but for what int8 takes away
    sound = np.random.default_rng(0).normal(0, 3000, 32_000).astype(np.int16)
    prefix = Engine.load(tmp_path / "nano", threads=1).encode(sound)
    assert prefix.spelling.shape == (27, 128)  # 2.1 s, with the quiet around it


def test_another_whisper_is_refused_with_both_shapes(run):
    path = run / "encoder.toml"
    layers = SHAPE["encoder_layers"]
    path.write_text(
        path.read_text().replace(f"encoder_layers = {layers}", f"encoder_layers = {layers + 1}")
    )
    wanted = rf"encoder_layers={layers}, .*the recipe wants .*encoder_layers={layers + 1}, "
    with pytest.raises(CheckpointError, match=wanted):
        train("encoder", run, Options(threads=1, whisper=str(WHISPER)))
    assert not (run / "encoder.pt").exists()


def test_a_padded_clip_is_heard_as_it_is_alone():
    torch.manual_seed(0)
    encoder = NanoEncoder(
        NanoEncoderConfig(
            d_model=32, n_layers=2, n_heads=2, ff_size=48, whisper=WhisperConfig(**SHAPE)
        )
    ).eval()
    features = torch.randn(2, 80, 200)
    lengths = torch.tensor([200, 117])
    with torch.no_grad():
        states, frames = encoder(features, lengths)
        alone, _ = encoder(features[1:, :, :117], lengths[1:])
    assert frames.tolist() == [25, 15]
    for both, one in zip(states, alone, strict=True):
        torch.testing.assert_close(both[1, :15], one[0], atol=1e-4, rtol=1e-4)
