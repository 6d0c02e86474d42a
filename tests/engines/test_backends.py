"""Both backends against each other, and a batch against its requests alone."""

from dataclasses import replace

import numpy as np
import pytest

from engines.backends import Context
from engines.backends.onnx import OnnxBackend
from engines.decoding import Request, decode
from engines.schedule import Exactly, Schedule, Steps, Threshold
from engines.scoring import score

FORBIDDEN = [1, 36, 37, 38, 39]


@pytest.fixture(scope="module")
def on_torch(tiny_lm):
    from engines.backends.torch import TorchBackend

    return TorchBackend(tiny_lm, block_causal=True, forbidden=FORBIDDEN)


@pytest.fixture(scope="module")
def on_onnx(tiny_folder):
    return OnnxBackend(
        tiny_folder / "lm.onnx", mask_id=1, block_causal=True, max_sequence_length=256, threads=1
    )


def sound(length, seed=0):
    return np.random.default_rng(seed).normal(size=(length, 32)).astype(np.float32)


REQUESTS = [
    Request(Context((), sound(4, 3)), Schedule(4, 4, Exactly(2))),
    Request(Context((2,), sound(9)), Schedule(12, 4, Exactly(1))),
    Request(Context((3, 9), sound(5, 1), 1), Schedule(8, 4, Threshold(0.2))),
    Request(Context((5, 6, 7)), Schedule(12, 6, Steps(3)), template=(None, 11)),
    Request(Context((2,), sound(3, 2)), Schedule(12, 4, Exactly(2), lookahead=1)),
    Request(Context((2,), sound(3, 2)), Schedule(8, 4, Exactly(2), temperature=0.8, seed=3)),
]


def responses(backend, requests):
    made = {}
    for event in decode(backend, requests):
        made.setdefault(event.handle, []).append((event.tokens, event.passes))
    return [made[handle] for handle in range(len(requests))]


def test_onnx_decodes_what_torch_decodes(on_torch, on_onnx):
    assert responses(on_onnx, REQUESTS) == responses(on_torch, REQUESTS)


def test_a_batch_decodes_what_each_request_does_alone(on_onnx):
    alone = [responses(on_onnx, [request])[0] for request in REQUESTS]
    assert responses(on_onnx, REQUESTS) == alone


def test_the_exact_cache_changes_nothing(on_torch):
    uncached = [
        replace(request, schedule=replace(request.schedule, cache="none")) for request in REQUESTS
    ]
    assert responses(on_torch, uncached) == responses(on_torch, REQUESTS)


def test_a_seed_decides_what_temperature_draws(on_onnx):
    def drawn(seed):
        request = Request(
            Context((2,), sound(3)), Schedule(12, 4, Exactly(2), temperature=2.0, seed=seed)
        )
        return responses(on_onnx, [request])

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_the_mask_and_ids_without_a_token_are_never_proposed(on_onnx):
    schedule = Schedule(64, 4, Exactly(4), temperature=50.0)
    (made,) = responses(on_onnx, [Request(Context((2,)), schedule)])
    assert not {token for tokens, _ in made for token in tokens} & set(FORBIDDEN)


def test_nothing_is_scored_as_nothing(on_torch, on_onnx):
    schedule, context = Schedule(block_length=4), Context((2,), sound(6))
    for backend in (on_torch, on_onnx):
        assert score(backend, context, [], schedule, end_id=0) == []


def test_both_backends_score_alike(on_torch, on_onnx):
    candidates = [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14]]
    schedule, context = Schedule(block_length=4), Context((2,), sound(6))
    ours, theirs = (
        score(backend, context, candidates, schedule, end_id=0) for backend in (on_torch, on_onnx)
    )
    assert [len(each) for each in ours] == [4, 2, 7]
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("backend", ["on_torch", "on_onnx"])
def test_a_prompt_over_the_context_length_is_refused(backend, request):
    asked = Request(Context(tuple([2] * 300)), Schedule(4, 4))
    with pytest.raises(ValueError, match="the model has 256; shorten the prompt"):
        list(decode(request.getfixturevalue(backend), [asked]))


GUIDED = [
    Request(Context((2, 7), sound(9)), Schedule(12, 4, Exactly(1), cfg_scale=1.5)),
    Request(Context((3, 9), sound(5, 1), 1), Schedule(8, 4, Threshold(0.2), cfg_scale=0.5)),
    Request(Context((5, 6, 7)), Schedule(8, 4, Exactly(2), temperature=0.8, cfg_scale=2.0)),
    Request(Context((3, 9), sound(5, 1), 1), Schedule(8, 4, Threshold(0.2))),
]


def test_onnx_is_guided_as_torch_is_beside_requests_that_are_not(on_torch, on_onnx):
    together = responses(on_onnx, [*GUIDED, *REQUESTS])
    assert together == responses(on_torch, [*GUIDED, *REQUESTS])
    assert together[: len(GUIDED)] == [responses(on_onnx, [each])[0] for each in GUIDED]
    assert together[1] != together[3]  # the same request, guided and not


def test_a_graph_from_before_guidance_says_so(on_onnx, monkeypatch):
    monkeypatch.setattr(on_onnx, "_guides", False)
    with pytest.raises(ValueError, match="knows no classifier-free guidance; export it again"):
        list(decode(on_onnx, [Request(Context((2,)), Schedule(4, 4, cfg_scale=1.0))]))
