"""The torch backend's own parts: its cache, recorded passes, quantised weights."""

import logging
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

from engines.backends import Context, RequestError
from engines.backends import graphs as graphs_module
from engines.backends.cache import KeyValues
from engines.backends.graphs import Graphs, cuda_capture
from engines.backends.torch import TorchBackend
from engines.checkpoints import CheckpointError
from engines.decoding import Request, decode
from engines.fused import Fused
from engines.memory import NotEnoughMemoryError
from engines.precision import fastest, suited
from engines.quantise import quantise
from engines.schedule import Exactly, Schedule, Threshold
from engines.scoring import score
from tests.engines.published import llada_shape, write_llada
from tests.engines.test_backends import FORBIDDEN, REQUESTS, responses

CPU = torch.device("cpu")


class Recorder:
    """Records on the CPU as CUDA graphs do: fixed inputs, one output that is overwritten."""

    def __init__(self):
        self.recorded = self.replayed = 0

    def __call__(self, compute):
        self.recorded += 1
        output = compute().clone()

        def replay():
            self.replayed += 1
            output.copy_(compute())

        return replay, output


@pytest.fixture(scope="module")
def bidirectional(tmp_path_factory):
    return write_llada(tmp_path_factory.mktemp("llada"), llada_shape(n_kv_heads=2))


def test_recorded_passes_decode_what_plain_ones_do(tiny_lm):
    recorder = Recorder()
    plain = TorchBackend(tiny_lm, block_causal=True, forbidden=FORBIDDEN)
    recorded = TorchBackend(
        tiny_lm, block_causal=True, forbidden=FORBIDDEN, room=(2, 300), capture=recorder
    )
    for _ in range(2):
        assert responses(recorded, REQUESTS) == responses(plain, REQUESTS)
    assert 0 < recorder.recorded < recorder.replayed


@pytest.mark.parametrize("cache", ["none", "prefix", "dual"])
def test_recorded_passes_of_a_bidirectional_model_decode_what_plain_ones_do(bidirectional, cache):
    recorder = Recorder()
    requests = [
        Request(Context((3, 4, 5)), Schedule(16, 8, Exactly(2), cache)),
        Request(Context((6,) * 9), Schedule(24, 8, Threshold(0.3), cache, cfg_scale=0.5)),
    ]
    plain, recorded = (TorchBackend(bidirectional, capture=capture) for capture in (None, recorder))
    assert responses(recorded, requests) == responses(plain, requests)
    assert 0 < recorder.recorded < recorder.replayed


def test_matrices_side_by_side_stay_what_they_are(tmp_path):
    model = write_llada(tmp_path / "llada", llada_shape(n_kv_heads=2))
    ids = torch.arange(12)[None]
    before = {name: each.clone() for name, each in model.state_dict().items()}
    exact = model(model.embed(ids))
    for block in model.blocks:
        block.join()
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    torch.testing.assert_close(model(model.embed(ids)), exact)
    block = model.blocks[0]
    block.v_proj.weight.data.zero_()  # what is joined is the weights themselves
    block.up_proj.weight.data.zero_()
    assert not torch.allclose(model(model.embed(ids)), exact)


def test_what_cannot_be_compiled_is_computed_plainly_and_said_once(monkeypatch, caplog):
    def unable(*_):
        raise RuntimeError("no compiler\nand more")

    monkeypatch.setattr(torch, "compile", lambda function, dynamic: unable)
    half = Fused(lambda x: x / 2)
    with caplog.at_level(logging.WARNING):
        assert [half(torch.ones(1)).item() for _ in range(2)] == [0.5, 0.5]
    (record,) = caplog.records
    assert record.getMessage().endswith("is not compiled, which is slower: no compiler")


def test_want_of_memory_in_a_compiled_step_is_not_taken_for_a_missing_compiler(monkeypatch, caplog):
    full = [torch.OutOfMemoryError("out of memory")]

    def compiled(x):
        if full:
            raise full.pop()
        return x / 2

    monkeypatch.setattr(torch, "compile", lambda function, dynamic: compiled)
    half = Fused(lambda x: x / 4)
    with pytest.raises(torch.OutOfMemoryError):
        half(torch.ones(1))
    assert half(torch.ones(1)).item() == 0.5
    assert caplog.records == []


def test_recordings_are_dropped_when_the_memory_they_use_moves(tiny_lm):
    recorder = Recorder()
    backend = TorchBackend(tiny_lm, block_causal=True, capture=recorder)
    short = Request(Context((2,)), Schedule(8, 4, Exactly(1)))
    before = responses(backend, [short])
    recorded = recorder.recorded
    list(decode(backend, [short, replace(short, context=Context((2,) * 240))]))
    assert responses(backend, [short]) == before
    assert recorder.recorded > recorded


def test_recordings_are_bounded_and_the_oldest_go_first():
    recorder = Recorder()
    graphs = Graphs(lambda x, first, length: x * length, recorder, CPU)
    for length in [*range(40), 39, 0]:
        assert graphs(torch.ones(2), first=0, length=length).tolist() == [length, length]
    assert recorder.recorded == 41


class Failing(Recorder):
    """Records so many times, then fails as `error`, the computation being half recorded."""

    def __init__(self, error, after=0):
        super().__init__()
        self.error, self.after = error, after

    def __call__(self, compute):
        if self.recorded >= self.after:
            self.recorded += 1
            compute()
            raise self.error
        return super().__call__(compute)


MISTAKES = [
    RuntimeError("operation not permitted when stream is capturing\nand more"),
    torch.AcceleratorError("capture invalidated"),
    AssertionError(),
    OSError("no compiler"),
]


@pytest.mark.parametrize("error", MISTAKES, ids=lambda error: type(error).__name__)
def test_a_device_that_cannot_record_computes_plainly_and_says_so_once(error, caplog):
    failing = Failing(error)
    graphs = Graphs(lambda x, first, length: x + 1, failing, CPU)
    with caplog.at_level(logging.WARNING):
        assert [graphs(torch.zeros(n), first=0, length=1).sum().item() for n in (1, 2)] == [1, 2]
    (record,) = caplog.records
    reason = (str(error) or type(error).__name__).splitlines()[0]
    assert record.getMessage() == f"passes run without CUDA graphs, which is slower: {reason}"
    assert failing.recorded == 1


def test_a_recording_that_finds_no_memory_leaves_the_others_and_smaller_ones_may_follow(caplog):
    failing = Failing(torch.OutOfMemoryError("out of memory"), after=1)
    graphs = Graphs(lambda x: x * 2, failing, CPU)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert graphs(torch.ones(1)).tolist() == [2]
            assert graphs(torch.ones(9)).tolist() == [2] * 9
    assert (failing.recorded, failing.replayed) == (2, 2)  # what failed is not tried again
    failing.after = 3
    assert graphs(torch.ones(4)).tolist() == [2] * 4
    assert (failing.recorded, failing.replayed) == (3, 3)
    assert len(caplog.records) == 1


def test_what_is_wrong_with_the_computation_itself_is_no_fault_of_the_recording():
    def wrong(x):
        raise ValueError("no such token")

    with pytest.raises(ValueError, match="no such token"):
        Graphs(wrong, Recorder(), CPU)(torch.zeros(1))


@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize("error", [RuntimeError(), torch.OutOfMemoryError()], ids=["any", "memory"])
def test_passes_whose_recording_fails_decode_what_plain_ones_do(tiny_lm, error, after):
    failing = Failing(error, after)
    plain = TorchBackend(tiny_lm, block_causal=True, forbidden=FORBIDDEN)
    backend = TorchBackend(tiny_lm, block_causal=True, forbidden=FORBIDDEN, capture=failing)
    for _ in range(2):
        assert responses(backend, REQUESTS) == responses(plain, REQUESTS)
    assert failing.recorded > after


class Device:
    """torch's streams and allocator, as far as a recording changes them."""

    def __init__(self, monkeypatch, fails):
        self.current, self.waits, self.ended, self.fails = "main", [], [], fails
        device = self

        class Stream:
            def wait_stream(self, other):
                device.waits.append(other)

        class Graph:
            def replay(self):
                device.waits.append("replay")

        @contextmanager
        def stream(other):
            before, device.current = device.current, other
            try:
                yield
            finally:
                device.current = before

        @contextmanager
        def graph(_, pool, capture_error_mode):
            assert (pool, capture_error_mode) == ("pool", "thread_local")
            device.current = "capture"
            yield  # and stays there if the recording fails, as torch does
            if device.fails:
                raise RuntimeError("capture invalidated")
            device.current = "main"

        fakes = {
            "current_stream": lambda: Main() if device.current == "main" else device.current,
            "Stream": Stream,
            "stream": stream,
            "set_stream": lambda other: setattr(device, "current", other.name),
            "CUDAGraph": Graph,
            "graph": graph,
            "graph_pool_handle": lambda: "pool",
            "current_device": lambda: 0,
        }

        class Main(Stream):
            name = "main"

        for name, fake in fakes.items():
            monkeypatch.setattr(torch.cuda, name, fake)
        monkeypatch.setattr(
            torch._C, "_cuda_endAllocateToPool", lambda *told: device.ended.append(told)
        )
        monkeypatch.setattr(graphs_module, "_shared", lambda: ("pool", None))


def test_a_recording_on_the_device_runs_a_few_times_first_and_is_then_replayed(monkeypatch):
    device, seen = Device(monkeypatch, fails=False), []
    replay, output = cuda_capture(lambda: seen.append(device.current) or torch.ones(1))
    assert seen[-1] == "capture"
    assert len(seen) > 1
    assert not {"capture", "main"} & set(seen[:-1])
    assert (device.current, device.ended, output.item()) == ("main", [], 1)
    replay()
    assert device.waits[-1] == "replay"


def test_a_recording_that_fails_leaves_the_stream_and_the_allocator_as_they_were(monkeypatch):
    device = Device(monkeypatch, fails=True)
    with pytest.raises(RuntimeError, match="capture invalidated"):
        cuda_capture(lambda: torch.ones(1))
    assert device.current == "main"
    assert device.ended == [(0, "pool")]


def test_a_pass_that_fails_before_it_is_recorded_is_waited_for(monkeypatch):
    device = Device(monkeypatch, fails=False)

    def full():
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        cuda_capture(full)
    assert (device.current, len(device.waits), device.ended) == ("main", 2, [])


def test_memory_that_is_there_is_not_moved():
    cache = KeyValues(llada_shape(), dtype=torch.float32, device=CPU, rows=2, positions=300)
    at = cache.k.data_ptr()
    rows = [cache.take(300), cache.take(511)]
    assert rows == [0, 1]
    assert cache.k.data_ptr() == at
    cache.give(rows)
    assert cache.take(1) == 0


def test_a_cache_that_grows_keeps_what_it_holds():
    cache = KeyValues(llada_shape(), dtype=torch.float32, device=CPU)
    row = cache.take(10)
    cache.k[:, row, :10] = 7
    cache.take(1000)
    assert (cache.k[:, row, :10] == 7).all()
    assert cache.k.shape[1:3] == (2, 1024)


def test_a_cache_that_does_not_fit_says_what_it_needs():
    cache = KeyValues(llada_shape(), dtype=torch.float32, device=CPU)
    with pytest.raises(NotEnoughMemoryError, match=r"need \d+\.\d GB for keys and values"):
        cache.take(10**12)


def test_a_prompt_over_the_context_length_names_both(bidirectional):
    backend = TorchBackend(bidirectional)
    asked = Request(Context((1,) * 5000), Schedule(32, 32, cache="dual"))
    with pytest.raises(RequestError, match="5032 positions asked for, the model has 4096"):
        list(decode(backend, [asked]))


def test_a_candidate_is_scored_as_it_is_alone_whatever_is_scored_beside_it(bidirectional):
    backend = TorchBackend(bidirectional)
    context, schedule = Context((3, 4, 5)), Schedule(block_length=4, cache="dual")
    short, long = [6, 7], [8, 9, 10, 11, 12, 13, 14, 15]
    (alone,) = score(backend, context, [short], schedule, end_id=0)
    beside, _ = score(backend, context, [short, long], schedule, end_id=0)
    np.testing.assert_allclose(beside, alone, atol=1e-5)
    list(decode(backend, [Request(Context((9,) * 40), Schedule(64, 32, cache="dual"))]))
    again, _ = score(backend, context, [short, long], schedule, end_id=0)
    np.testing.assert_allclose(again, alone, atol=1e-5)


@pytest.mark.parametrize(
    ("prefix", "error"),
    [
        (np.full((2, 32), np.nan, np.float32), "not all finite"),
        (np.zeros((2, 31), np.float32), "Sizes of tensors must match"),
    ],
)
def test_a_request_that_is_refused_leaves_no_trace(tiny_lm, prefix, error):
    backend = TorchBackend(tiny_lm, block_causal=True, room=(2, 300))
    room = len(backend.cache._free)
    for _ in range(3):
        with pytest.raises((RequestError, RuntimeError), match=error):
            backend.admit(Context((2,), prefix), Schedule(4, 4))
    assert len(backend.cache._free) == room


def test_int8_changes_little(tmp_path):
    pytest.importorskip("torchao")
    shape = llada_shape(d_model=128, mlp_hidden_size=256)
    model = write_llada(tmp_path / "llada", shape)
    ids = torch.arange(20)[None]
    exact = model.logits(model(model.embed(ids)))
    quantised = quantise(model, "int8", "cpu")
    rough = quantised.logits(quantised(quantised.embed(ids)))
    assert 0 < (rough - exact).abs().max() < 0.1 * exact.abs().max()
    assert type(quantised.blocks[0].q_proj.weight.data) is not torch.Tensor
    assert quantised.model.transformer.wte.weight.dtype == torch.float32
    request = Request(Context((1, 2)), Schedule(16, 8, Exactly(4), "dual"))
    (made,) = responses(TorchBackend(quantised), [request])
    assert sum(len(tokens) for tokens, _ in made) == 16


def test_int4_on_the_cpu_is_refused_with_what_would_do(bidirectional):
    with pytest.raises(CheckpointError, match=r'set engine\.quantise = "int8"'):
        quantise(bidirectional, "int4", "cpu")


def test_quantising_without_torchao_names_the_extra(bidirectional, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torchao.quantization", None)
    with pytest.raises(CheckpointError, match=r"install assistant\[quantise\]"):
        quantise(bidirectional, "int8", "cpu")


def test_nothing_is_computed_in_half_precision_on_a_processor():
    assert suited(torch.float32, "cpu") is torch.float32
    assert suited(torch.float16, "cpu") is suited(torch.bfloat16, "cpu") is fastest("cpu")
    assert fastest("cpu") in (torch.float32, torch.bfloat16)
