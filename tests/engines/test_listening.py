"""The encoder's graph: where it runs, and that binding its output changes nothing."""

import logging

import numpy as np

from engines.diffa import Engine
from engines.listening import Listener, bound_run

FEATURES = np.random.default_rng(0).normal(size=(1, 80, 96)).astype(np.float32)


def test_a_bound_output_is_the_output(tiny_folder):
    listener = Listener(tiny_folder / "encoder.onnx", threads=1, device="cpu", keep=False)
    prefix, lengths = bound_run(
        listener._session, {"features": FEATURES, "lengths": np.array([80])}, "cpu"
    )
    ours, spelling = listener(FEATURES, 80)
    assert spelling is None
    np.testing.assert_array_equal(prefix.numpy()[0, : int(lengths.numpy()[0])], ours)
    assert len(ours) == 10


def test_cuda_that_was_asked_for_and_is_not_there_is_told_loudly(tiny_folder, caplog):
    with caplog.at_level(logging.WARNING):
        listener = Listener(tiny_folder / "encoder.onnx", threads=1, device="cuda", keep=True)
    assert not listener.on_cuda
    assert "THE ENCODER RUNS ON THE CPU" in caplog.text
    assert "assistant[gpu]" in caplog.text
    assert len(listener(FEATURES, 80)[0]) == 10


def test_a_device_that_was_left_to_us_is_no_reason_to_be_loud(tiny_folder, caplog):
    with caplog.at_level(logging.WARNING):
        Listener(tiny_folder / "encoder.onnx", threads=1, device="auto", keep=True)
    assert caplog.text == ""


def test_a_graph_alone_runs_on_the_cpu_and_says_so(tiny_folder, caplog):
    with caplog.at_level(logging.WARNING):
        engine = Engine.load(tiny_folder, threads=1, device="cuda")
    assert "has no weights for torch: the language model runs on the CPU" in caplog.text
    assert type(engine.backend).__name__ == "OnnxBackend"
