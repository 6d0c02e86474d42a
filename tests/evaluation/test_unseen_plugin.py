"""The shipped weights understand a plugin that they were not trained for, in unheard voices."""

from pathlib import Path

import numpy as np
import pytest

from assistant.cli.listeners import understander
from assistant.understanding import NANO
from engines.evaluation.commands import evaluate
from engines.evaluation.samples import Noise, read_samples

COFFEE = Path(__file__).parent / "coffee"
"""14 orders by the voices that training never hears, with the plugin that takes them."""


@pytest.fixture(scope="module")
def understand():
    return understander(NANO, COFFEE, threads=1)


def test_orders_are_understood_to_the_last_slot(understand):
    result = evaluate(read_samples(COFFEE / "manifest.jsonl", None), understand)
    assert result["n"] == 14
    assert result["accuracy"] == 1.0, result["wrong"]


def test_so_are_orders_of_natural_voices_with_accents_from_all_over_the_world(understand):
    """Twelve voices of Kokoro-82M, none of which training hears."""
    result = evaluate(read_samples(COFFEE / "natural.jsonl", None), understand)
    assert result["n"] == 12
    assert result["accuracy"] >= 11 / 12, result["wrong"]


def test_nearly_all_are_understood_in_noise(understand):
    rng = np.random.default_rng(5)
    steps = np.cumsum(rng.normal(0, 1, 20 * 16_000))  # brown, as a fan far away
    slow = np.convolve(steps, np.ones(400) / 400, "same")
    noise = np.diff(steps, prepend=0) + 0.02 * (steps - slow)
    hum = (noise / np.abs(noise).max() * 8000).astype(np.int16)
    result = evaluate(
        read_samples(COFFEE / "manifest.jsonl", None), understand, noise=Noise(hum, 12.0)
    )
    assert result["accuracy"] >= 13 / 14, result["wrong"]
