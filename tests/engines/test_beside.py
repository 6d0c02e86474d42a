"""nano answers by the same numbers, to the last bit, whatever is answered beside it."""

from pathlib import Path

import numpy as np
import pytest

from engines.backends import onnx
from engines.diffa import Ask, Engine
from engines.schedule import Schedule, Steps

NANO = Path(__file__).parents[2] / "engines" / "nano"
SCHEDULE = Schedule(max_new_tokens=16, block_length=16, rule=Steps(16), cache="exact")


@pytest.fixture(scope="module")
def engine():
    return Engine.load(NANO, threads=2, device="cpu")


@pytest.fixture(scope="module")
def heard(engine):
    """What is made of nine noises, each of another length; the first is watched."""
    noise = np.random.default_rng(0).normal(0, 0.1, 80_000).astype(np.float32)
    lengths = (21_000, 20_000, 64_000, 26_000, 80_000, 33_000, 48_000, 22_000, 57_000)
    return [engine.encode(noise[:length]) for length in lengths]


def numbers(engine, heard, others, passes, monkeypatch):
    """Of every pass of the first, which joins `others` after so many of theirs."""
    seen, propose = [], onnx.OnnxBackend.propose

    def watched(backend, queries):
        proposals = propose(backend, queries)
        for query, proposal in zip(queries, proposals, strict=True):
            if query.state.prefix is heard[0].embeddings:
                seen.append((proposal.tokens.copy(), proposal.log_probability.copy()))
        return proposals

    monkeypatch.setattr(onnx.OnnxBackend, "propose", watched)
    batch = engine.batch(8)
    running = {batch.add(ask(prefix)) for prefix in heard[1 : 1 + others]}
    for _ in range(passes):
        running -= {block.ask for block in batch.step() if block.last}
    running.add(batch.add(ask(heard[0])))
    while running:
        running -= {block.ask for block in batch.step() if block.last}
    batch.close()
    monkeypatch.undo()
    return seen


def ask(prefix):
    return Ask("answer", prefix, schedule=SCHEDULE, stops=False)


def test_the_numbers_do_not_depend_on_who_is_beside_it(engine, heard, monkeypatch):
    alone = numbers(engine, heard, 0, 0, monkeypatch)
    assert len(alone) == 16
    for others, passes in ((1, 0), (7, 0), (3, 2), (7, 1), (6, 7), (1, 13)):
        beside = numbers(engine, heard, others, passes, monkeypatch)
        for (tokens, sure), (other_tokens, other_sure) in zip(alone, beside, strict=True):
            assert np.array_equal(tokens, other_tokens)
            assert np.array_equal(sure, other_sure), (others, passes)
