"""Two encoders become their mean, as often as one likes, and only where they are of one shape."""

import shutil

import pytest
import torch

from engines.training.blending import UNBLENDED, blend
from engines.training.recipe import Options, train
from engines.training.runs import RunError, read_state
from engines.training.saving import CheckpointMismatchError


@pytest.fixture
def other(run, tmp_path):
    """A run that went on where `run` stopped."""
    train("encoder", run, Options(threads=1, steps=2))
    longer = tmp_path / "longer"
    shutil.copytree(run, longer)
    train("encoder", longer, Options(threads=1))
    return longer


def weights(run, name="encoder.pt"):
    return read_state(run / name)["model"]


def test_the_mean_is_taken_of_what_both_were_before_any_blending(run, other):
    ours, theirs = weights(run), weights(other)
    for share in (0.9, 0.25):
        blend(run, other, share)
        for name, mean in weights(run).items():
            torch.testing.assert_close(mean, (1 - share) * ours[name] + share * theirs[name])
    assert all(torch.equal(weights(run, UNBLENDED)[name], ours[name]) for name in ours)
    assert read_state(run / "encoder.pt")["step"] == 2 + 4


def test_what_is_blended_can_be_taught_on(run, other):
    blend(run, other, 0.5)
    before = weights(run)
    train("encoder", run, Options(threads=1, steps=8))
    assert any(not torch.equal(each, before[name]) for name, each in weights(run).items())


def test_encoders_of_two_shapes_are_not_blended(run, other):
    toml = run / "encoder.toml"
    toml.write_text(toml.read_text().replace("ff_size = 48", "ff_size = 24"))
    before = weights(run)
    with pytest.raises(CheckpointMismatchError, match="of another shape"):
        blend(run, other, 0.5)
    assert not (run / UNBLENDED).exists()
    assert all(torch.equal(each, before[name]) for name, each in weights(run).items())


def test_a_run_without_an_encoder_is_named(run, other):
    (other / "encoder.pt").unlink()
    with pytest.raises(RunError, match=r"longer/encoder\.pt is missing"):
        blend(run, other, 0.5)
