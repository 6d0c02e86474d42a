"""Every stage on the smallest shapes: it learns, keeps still what is frozen, and can be resumed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engines.training import loop, saving  # noqa: E402
from engines.training.batches import Mixture, SpeechBatches  # noqa: E402
from engines.training.configs import ConfigError, path_of, read  # noqa: E402
from engines.training.corpus import Corpus, CorpusError  # noqa: E402
from engines.training.encoder import disagreement  # noqa: E402
from engines.training.optimisers import Optimisers  # noqa: E402
from engines.training.recipe import EncoderStage, Options, assemble, train  # noqa: E402
from engines.training.runs import RunError, mixture, read_state, read_tokenizer  # noqa: E402
from engines.training.saving import CheckpointMismatchError  # noqa: E402

ONCE = Options(threads=1)
NO_TIME = Options(threads=1, hours=0.0)


def weights(run, stage):
    return read_state(run / f"{stage}.pt")["model"]


def assert_equal(left, right):
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        assert torch.equal(tensor, right[name]), name


def begun(trained, run, *stages):
    """A run whose earlier stages are done."""
    for stage in stages:
        shutil.copy(trained / f"{stage}.pt", run / f"{stage}.pt")
    return run


@pytest.mark.parametrize("stage", ["encoder", "lm"])
def test_a_stage_learns(run, stage):
    train(stage, run, Options(threads=1, steps=41))
    rows = [json.loads(line) for line in (run / f"{stage}.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 20, 40]
    assert rows[-1]["loss"] < 0.9 * rows[0]["loss"]


@pytest.mark.parametrize("stage", ["encoder", "lm", "align"])
def test_a_run_stopped_after_every_step_ends_with_the_weights_of_one_never_stopped(
    trained, run, stage
):
    begun(trained, run, *({"align": ("encoder", "lm")}.get(stage, ())))
    steps = read_state(trained / f"{stage}.pt")["step"]
    for _ in range(steps):
        train(stage, run, NO_TIME)
    assert read_state(run / f"{stage}.pt")["step"] == steps
    assert_equal(weights(run, stage), weights(trained, stage))


class Counting:
    def batch(self, step):
        return {"x": torch.full((4, 3), float(step))}


def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path):
    def go(folder, dies_at):
        torch.manual_seed(0)
        model = torch.nn.Linear(3, 2)
        schedule = loop.Schedule(7, 1e-2, warmup=1, decay=2)

        def loss(model, batch):
            if batch["step"] == dies_at:
                raise KeyboardInterrupt
            return {"loss": model(batch["x"]).square().mean()}

        loop.run("test", model, Counting(), loss, schedule, folder, save_every=2)
        return model.state_dict()

    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "killed", dies_at=5)
    assert read_state(tmp_path / "killed" / "test.pt")["step"] == 4
    assert_equal(go(tmp_path / "killed", None), go(tmp_path / "whole", None))


def lossy(folder, broken):
    """Train a little, with losses that are no numbers at the steps `broken`."""
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)

    def loss(model, batch):
        value = model(batch["x"]).square().mean()
        return {"loss": value * float("nan") if batch["step"] in broken else value}

    lost = loop.run("test", model, Counting(), loss, loop.Schedule(60, 1e-2, 1, 2), folder)
    return lost, model.state_dict()


def test_a_loss_that_is_no_number_spoils_no_weight(tmp_path):
    lost, weights = lossy(tmp_path, {3, 4, 20})
    assert lost == 3
    assert all(tensor.isfinite().all() for tensor in weights.values())
    rows = [json.loads(line) for line in (tmp_path / "test.jsonl").read_text().splitlines()]
    assert [row.get("lost") for row in rows] == [None, 3, 3]


def test_losses_that_stay_no_numbers_end_the_run_with_the_remedy(tmp_path):
    with pytest.raises(loop.DivergedError, match=r"50 steps; lower schedule.learning_rate"):
        lossy(tmp_path, range(5, 60))


def test_a_full_disk_leaves_the_checkpoint_before_and_no_half_of_one(tmp_path, monkeypatch):
    model = torch.nn.Linear(3, 2)
    path = tmp_path / "test.pt"
    saving.save(path, "test", model, Optimisers(model), 1)

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saving.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        saving.save(path, "test", model, Optimisers(model), 2)
    assert read_state(path)["step"] == 1
    assert [each.name for each in tmp_path.iterdir()] == ["test.pt"]


def test_the_bar_tells_loss_rate_and_hours_of_audio():
    row = {"loss": 1.5, "audio_s_per_s": 90.0}
    assert (
        loop._described("encoder", row, 1e-3)
        == "encoder loss 1.500 rate 1.0e-03 0.025 h of audio/s"
    )
    told = loop._described("lm", {"loss": 1.5, "audio_s_per_s": 0.0, "lost": 2}, 1e-3)
    assert told == "lm loss 1.500 rate 1.0e-03 (2 steps without a finite gradient)"


@pytest.mark.parametrize(
    "row",
    [
        {"text": 5, "answer": "Okay.", "weight": 1.0},
        {"text": "stop", "answer": None, "weight": 1.0},
        {"text": "stop", "answer": "Okay.", "weight": "much"},
        {"text": "stop", "answer": "Okay.", "weight": -1},
        {"text": "stop"},
    ],
)
def test_pairs_of_another_kind_are_named(run, row):
    (run / "pairs.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(RunError, match=r"pairs\.jsonl cannot be read"):
        train("lm", run, ONCE)


@pytest.mark.parametrize(
    "change", [{"samples": "many"}, {"offset": None}, {"text": 5}, {"taste": "sweet"}]
)
def test_a_corpus_of_another_kind_is_named(run, change):
    clips = run / "human" / "clips.jsonl"
    first, *rest = clips.read_text().splitlines()
    clips.write_text("\n".join([json.dumps(json.loads(first) | change), *rest, ""]))
    with pytest.raises(CorpusError, match="is no spoken corpus"):
        Corpus(run / "human")


@pytest.mark.parametrize("change", [{"samples": 0}, {"text": " "}, {"offset": -1}])
def test_clips_in_which_nothing_is_said_are_not_heard(run, change):
    clips = run / "human" / "clips.jsonl"
    first, *rest = clips.read_text().splitlines()
    clips.write_text("\n".join([json.dumps(json.loads(first) | change), *rest, ""]))
    assert len(Corpus(run / "human").clips) == len(rest)


@pytest.mark.parametrize("name", ["encoder", "encoder-gpu", "encoder-own"])
def test_the_recipes_own_numbers_can_be_read(name):
    stage = read(EncoderStage, path_of(name, Path("nowhere")))
    assert sum(stage.sound.shares.values()) == pytest.approx(1.0)
    assert stage.schedule.warmup + stage.schedule.decay <= stage.schedule.steps
    assert not stage.spelling.agreement or stage.sound.hearings == 2


def test_what_goes_on_on_a_gpu_has_the_shape_of_what_was_begun():
    begun, further = (
        read(EncoderStage, path_of(name, Path("nowhere"))) for name in ("encoder", "encoder-gpu")
    )
    assert replace(further.shape, dropout=begun.shape.dropout) == begun.shape


def test_batches_come_in_order_however_many_make_them(tmp_path):
    def go(folder, workers):
        torch.manual_seed(0)
        model = torch.nn.Linear(3, 2)
        seen = []

        def loss(model, batch):
            seen.append(int(batch["x"][0, 0]))
            return {"loss": model(batch["x"]).square().mean()}

        schedule = loop.Schedule(7, 1e-2, warmup=1, decay=2)
        loop.run("test", model, Counting(), loss, schedule, folder, workers=workers)
        return seen, model.state_dict()

    (one, alone), (three, shared) = go(tmp_path / "1", 1), go(tmp_path / "3", 3)
    assert one == three == [*range(7)]
    assert_equal(alone, shared)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_told_with_the_remedy(run):
    with pytest.raises(loop.DeviceError, match="give --device cpu"):
        train("lm", run, Options(threads=1, device="cuda"))
    assert not (run / "lm.pt").exists()


def test_align_moves_the_semantic_adapter_alone(trained):
    before, after = weights(trained, "encoder"), weights(trained, "align")
    for name, tensor in before.items():
        if not name.startswith("middle_norm."):
            kept = f"speech.{name}".replace("speech.head", "speech.spelling")
            assert torch.equal(after[kept], tensor), name
    for name, tensor in weights(trained, "lm").items():
        assert torch.equal(after[f"lm.{name}"], tensor), name


def test_instruct_moves_both_adapters_alone(trained):
    before, after = weights(trained, "align"), weights(trained, "instruct")
    moved = {".".join(name.split(".")[:2]) for name in before if before[name].ne(after[name]).any()}
    assert moved == {"speech.semantic_connector", "speech.acoustic_connector"}


def test_unfreeze_trains_through(trained, run):
    begun(trained, run, "encoder", "lm", "align")
    train("instruct", run, Options(threads=1, steps=2, unfreeze=True))
    before, after = weights(run, "align"), weights(run, "instruct")
    for part in ("speech.encoder", "lm", "speech.spelling"):
        assert any(before[n].ne(after[n]).any() for n in before if n.startswith(part)), part


def test_the_last_stage_is_what_is_shipped(trained):
    nano, stage = assemble(trained)
    assert stage == "instruct"
    assert torch.equal(
        nano.state_dict()["lm.model.transformer.wte.weight"],
        weights(trained, "instruct")["lm.model.transformer.wte.weight"],
    )


def test_other_frozen_parts_are_refused_at_a_resume(trained, run):
    begun(trained, run, "encoder", "lm", "align")
    with pytest.raises(CheckpointMismatchError, match="same --unfreeze"):
        train("align", run, Options(threads=1, unfreeze=True))


def test_a_checkpoint_of_another_shape_is_named(trained, run):
    begun(trained, run, "encoder")
    path = run / "encoder.toml"
    path.write_text(path.read_text().replace("d_model = 32", "d_model = 16"))
    with pytest.raises(CheckpointMismatchError, match=r"encoder\.pt is of another shape: size"):
        train("encoder", run, ONCE)


def test_a_damaged_checkpoint_is_named(run):
    (run / "lm.pt").write_bytes(b"half of a file")
    with pytest.raises(CheckpointMismatchError, match=r"lm\.pt is no checkpoint .* remove it"):
        train("lm", run, ONCE)


def test_a_stage_before_its_time_names_the_command_that_is_missing(run):
    with pytest.raises(
        RunError, match=r"encoder\.pt is missing; run first: assistant train encoder"
    ):
        train("align", run, ONCE)


def test_a_run_without_speech_never_trains_on_nothing(run):
    shutil.rmtree(run / "speech")
    shutil.rmtree(run / "human")
    with pytest.raises(CorpusError, match="holds no speech to learn from"):
        train("encoder", run, ONCE)


def test_a_corpus_that_is_missing_is_told(run):
    shutil.rmtree(run / "human")
    notes = train("encoder", run, NO_TIME)
    assert len(notes) == 1
    assert "human is no spoken corpus" in notes[0]


def test_a_run_keeps_the_numbers_it_was_begun_with(run, tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text((run / "encoder.toml").read_text().replace("seed = 0", "seed = 5"))
    train("encoder", run, Options(config=mine, threads=1, hours=0.0))
    assert read(EncoderStage, run / "encoder.toml").seed == 5


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("batch_s", "batch_m", "sound.batch_m is no setting"),
        ("seed = 0", "", "seed is missing"),
        ("n_layers = 2", 'n_layers = "two"', "shape.n_layers must be of type int"),
        ("[shape]", "[shape", "line"),
    ],
)
def test_a_wrong_configuration_is_told_in_one_line(run, old, new, complaint):
    path = run / "encoder.toml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ConfigError, match=complaint) as caught:
        train("encoder", run, ONCE)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_recipe_s_own_numbers_fit_nano(tmp_path):
    from engines.nano_model import NanoConfig
    from engines.training.configs import path_of
    from engines.training.recipe import AdapterStage, LmStage

    shape = NanoConfig()
    assert read(EncoderStage, path_of("encoder", tmp_path)).shape == shape.encoder
    lm = read(LmStage, path_of("lm", tmp_path))
    assert (lm.shape, lm.acoustic, lm.slots) == (shape.lm, shape.queries, shape.slots)
    for stage in ("align", "instruct"):
        adapters = read(AdapterStage, path_of(stage, tmp_path)).adapters
        assert adapters.taps == shape.taps


def test_a_batch_depends_on_seed_and_step_alone(run):
    tokenizer = read_tokenizer(run)

    def batch(step, seed):
        corpora = [Corpus(run / "human")]
        return SpeechBatches(Mixture(corpora, [1.0], batch_s=4.0, seed=seed), tokenizer).batch(step)

    one, two = batch(3, 0), batch(3, 0)
    assert torch.equal(one["features"], two["features"])
    other = batch(3, 1)["features"]
    assert one["features"].shape != other.shape or not torch.equal(one["features"], other)
    assert np.isfinite(one["features"].numpy()).all()


def test_two_hearings_of_a_clip_differ_in_everything_but_time(run):
    path = run / "encoder.toml"
    path.write_text(path.read_text().replace("batch_s = 6.0", "batch_s = 6.0\nhearings = 2"))
    config = read(EncoderStage, path)
    tokenizer = read_tokenizer(run)
    batch = SpeechBatches(mixture(run, config.sound, 0, []), tokenizer).batch(0)
    first, second = batch["features"].chunk(2)
    assert first.shape == second.shape
    assert not torch.allclose(first, second)
    for name in ("lengths", "targets", "target_lengths"):
        assert torch.equal(*batch[name].chunk(2)), name
    assert batch["spans"][: len(first)] == batch["spans"][len(first) :]


def test_disagreement_counts_the_frames_that_both_hearings_have():
    lengths = torch.tensor([5, 3] * 2)
    said, other = torch.randn(2, 2, 5, 7).log_softmax(-1)
    assert disagreement(torch.cat([said, said]), lengths) == 0
    said.requires_grad_()
    apart = disagreement(torch.cat([said, other]), lengths)
    expected = sum(
        torch.sum((p.exp() - q.exp()) * (p - q))
        for p, q in ((said[0], other[0]), (said[1, :3], other[1, :3]))
    )
    assert float(apart.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    apart.backward()
    assert said.grad.abs().sum() > 0


def test_an_encoder_learns_to_agree_with_itself(run):
    path = run / "encoder.toml"
    text = path.read_text().replace("batch_s = 6.0", "batch_s = 6.0\nhearings = 2")
    path.write_text(f"{text}[spelling]\nagreement = 1.0\n")
    train("encoder", run, Options(threads=1, steps=21))
    rows = [json.loads(line) for line in (run / "encoder.jsonl").read_text().splitlines()]
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert all(row["apart"] > 0 for row in rows)


def test_agreement_needs_two_hearings(run):
    path = run / "encoder.toml"
    path.write_text(f"{path.read_text()}[spelling]\nagreement = 0.2\n")
    with pytest.raises(ConfigError, match=r"agreement .* sound.hearings = 2"):
        train("encoder", run, ONCE)


def test_a_language_model_of_another_vocabulary_is_refused(run):
    path = run / "lm.toml"
    path.write_text(path.read_text().replace("embedding_size = 128", "embedding_size = 64"))
    with pytest.raises(ConfigError, match=r"embedding_size is 64, but .* 128 pieces"):
        train("lm", run, ONCE)
