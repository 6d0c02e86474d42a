"""How much is needed is told before anything large is read."""

import pytest
from typer.testing import CliRunner

from assistant.cli.model import app
from assistant.errors import UserError
from assistant.intents import Intents
from assistant.settings import load
from assistant.understanding import load_mind
from engines.checkpoints import Manifest
from engines.convert import convert
from engines.diffa import Engine
from engines.memory import (
    NotEnoughMemoryError,
    check_memory,
    free_bytes,
    lm_bytes,
    options,
    size_of,
)
from engines.shapes import LLaDAConfig
from tests.engines.published import write_llada

LLADA_8B = LLaDAConfig(
    d_model=4096,
    n_layers=32,
    n_heads=32,
    mlp_hidden_size=12288,
    embedding_size=126464,
    mask_token_id=126336,
    eos_token_id=126081,
)
GB = 1_000_000_000


def shortage(needed, free, smaller=None, device="cuda"):
    with pytest.raises(NotEnoughMemoryError) as caught:
        check_memory("it", needed, device, smaller=smaller, free=lambda _: free)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_published_model_fits_a_card_of_12_gb_once_quantised():
    sizes = options(LLADA_8B, "cuda")
    assert sizes["bfloat16"] > 16 * GB
    assert sizes["int8"] < 11 * GB
    assert sizes["int4"] < 7.5 * GB


def test_the_most_exact_precision_that_fits_is_named():
    sizes = options(LLADA_8B, "cuda")
    needed = sizes.pop("bfloat16")
    assert 'int8 would fit: set engine.quantise = "int8"' in shortage(needed, 11 * GB, sizes)
    assert 'int4 would fit: set engine.quantise = "int4"' in shortage(needed, 8 * GB, sizes)
    assert "nothing smaller would fit (int8 9.7 GB, int4 6.2 GB)" in shortage(needed, GB, sizes)


def test_how_much_is_needed_and_free_is_told():
    said = shortage(20 * GB, 3 * GB)
    assert "it needs about 20.0 GB of memory on cuda, 3.0 GB is free" in said


def test_what_fits_or_is_unknown_is_let_through():
    asked = []
    for known in (5, None):
        check_memory("it", 5, "cpu", free=lambda device, known=known: asked.append(device) or known)
    assert asked == ["cpu", "cpu"]


def test_the_machine_says_what_is_free():
    free = free_bytes("cpu")
    assert free is not None
    assert free > 1_000_000


def test_sizes_are_rendered_for_people():
    assert [size_of(16_340_000_000), size_of(512_300_000)] == ["16.3 GB", "512.3 MB"]


@pytest.fixture
def on_torch(tiny_folder, tiny_lm, tmp_path):
    """The tiny checkpoint with weights in place of its graph."""
    folder = tmp_path / "model"
    manifest = Manifest.read(tiny_folder / "model.toml")
    write_llada(folder, manifest.lm)
    for name in ("model.toml", "encoder.onnx", "tokenizer.json"):
        (folder / name).write_bytes((tiny_folder / name).read_bytes())
    return folder


def test_a_model_that_does_not_fit_is_refused_by_the_engine_and_the_assistant(on_torch, tmp_path):
    lm = Manifest.read(on_torch / "model.toml").lm
    between = (lm_bytes(lm, "int8") + lm_bytes(lm, "float32")) // 2
    with pytest.raises(NotEnoughMemoryError, match=r"int8 would fit: set engine\.quantise"):
        Engine.load(on_torch, device="cpu", free=lambda _: between)
    settings = load(None, {"engine": {"model": on_torch, "device": "cpu"}})
    intents = Intents([], state_folder=tmp_path, timeout_s=1)
    with pytest.raises(UserError, match=r"engine\.model: .* needs about .* is free"):
        load_mind(settings, lambda: intents, free=lambda _: 1000)


def test_a_conversion_that_does_not_fit_writes_nothing(tmp_path):
    from tests.engines.test_convert import DIFFA, GOLDEN

    with pytest.raises(NotEnoughMemoryError, match="the conversion needs about"):
        convert(
            whisper=DIFFA / "whisper",
            diffa=DIFFA / "diffa",
            llada=GOLDEN / "llada-tiny",
            out=tmp_path / "out",
            free=lambda _: 1000,
        )
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_tells_its_need_in_every_precision(on_torch):
    result = CliRunner().invoke(app, ["info", str(on_torch)], terminal_width=300)
    assert "in bfloat16" in result.stdout
    assert "in int8" in result.stdout
    assert "is free here" in result.stdout.replace("\n", " ")
