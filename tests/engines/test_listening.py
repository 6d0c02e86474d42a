"""The encoder's graph: where it runs, and that binding its output changes nothing."""

import logging
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest

from engines import listening
from engines.backends.onnx import OnnxBackend
from engines.checkpoints import CheckpointError
from engines.diffa import Engine
from engines.listening import Listener, bound_run

FEATURES = np.random.default_rng(0).normal(size=(1, 80, 96)).astype(np.float32)


def listen(folder, device, *, mels=80, size=32, keep=True):
    path = folder / "encoder.onnx"
    return Listener(path, mels=mels, size=size, threads=1, device=device, keep=keep)


def test_a_bound_output_is_the_output(tiny_folder):
    listener = listen(tiny_folder, "cpu", keep=False)
    prefix, lengths = bound_run(
        listener._session, {"features": FEATURES, "lengths": np.array([80])}, "cpu"
    )
    ours, spelling = listener(FEATURES, 80)
    assert spelling is None
    np.testing.assert_array_equal(prefix.numpy()[0, : int(lengths.numpy()[0])], ours)
    assert len(ours) == 10


def test_cuda_that_was_asked_for_and_is_not_there_is_told_loudly(tiny_folder, caplog):
    with caplog.at_level(logging.WARNING):
        listener = listen(tiny_folder, "cuda")
    assert not listener.on_cuda
    assert "THE ENCODER RUNS ON THE CPU" in caplog.text
    assert "assistant[gpu]" in caplog.text
    assert len(listener(FEATURES, 80)[0]) == 10


def test_a_device_that_was_left_to_us_is_no_reason_to_be_loud(tiny_folder, caplog):
    with caplog.at_level(logging.WARNING):
        listen(tiny_folder, "auto")
    assert caplog.text == ""


def test_a_graph_alone_runs_on_the_cpu_and_says_so(tiny_folder, caplog):
    with caplog.at_level(logging.WARNING):
        engine = Engine.load(tiny_folder, threads=1, device="cuda")
    assert "has no weights for torch: the language model runs on the CPU" in caplog.text
    assert type(engine.backend).__name__ == "OnnxBackend"


@pytest.mark.parametrize("wrong", [{"mels": 128}, {"size": 64}])
def test_a_graph_of_another_model_is_refused(tiny_folder, wrong):
    with pytest.raises(CheckpointError, match=r"encoder\.onnx: does not turn .* another model's"):
        listen(tiny_folder, "cpu", **wrong)


def test_an_encoder_is_no_language_model(tiny_folder):
    with pytest.raises(CheckpointError, match="not a language model of ours"):
        OnnxBackend(
            tiny_folder / "encoder.onnx", mask_id=1, block_causal=True, max_sequence_length=9
        )


@pytest.mark.parametrize(
    ("installed", "remedy"),
    [
        (["onnxruntime"], "install assistant[gpu], then see docs/diffa.md"),
        (
            ["onnxruntime", "onnxruntime-gpu"],
            "overwrite each other: uninstall both, then install onnxruntime-gpu alone",
        ),
        (["onnxruntime-gpu"], "onnxruntime-gpu 1.31 finds no GPU, driver or CUDA library"),
    ],
)
def test_the_remedy_is_for_what_is_installed(monkeypatch, installed, remedy):
    def version(name):
        if name not in installed:
            raise PackageNotFoundError(name)
        return "1.31"

    monkeypatch.setattr(listening, "version", version)
    assert remedy in listening._remedy()
