"""DIFFA's stages on the golden models: what moves, what they leave, and how they go on."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from assistant.cli.main import app  # noqa: E402
from engines.training import configs  # noqa: E402
from engines.training.diffa.loop import DivergedError, Plan, Rate, Trainer  # noqa: E402
from engines.training.diffa.model import freeze, recompute, stage_loss  # noqa: E402
from engines.training.diffa.processes import Team  # noqa: E402
from engines.training.diffa.recipe import DiffaStage, train  # noqa: E402
from engines.training.diffa.states import Place  # noqa: E402
from engines.training.runs import read_state  # noqa: E402
from tests.training.diffa import (  # noqa: E402
    GOLDEN_ADAPTERS,
    STAGES,
    assert_equal,
    batches,
    models_of,
    options,
    sources,
)

ALONE = Team(0, 1, torch.device("cpu"))


@pytest.mark.parametrize(("stage", "top"), [("align", 3e-3), ("instruct", 6e-3)])
def test_the_loss_falls_and_what_is_frozen_stays_bit_for_bit(place, tmp_path, stage, top):
    diffa, lm = models_of(place)
    moving = freeze(diffa, lm, stage)
    loss, drawn = stage_loss(diffa, lm, stage), batches(place, stage)
    before = {name: each.clone() for name, each in diffa.state_dict().items()}
    lm_before = {name: each.clone() for name, each in lm.state_dict().items()}

    def measured():
        with torch.no_grad():
            return sum(float(loss(drawn.draw(number))) for number in range(12))

    at_first = measured()
    rate = Rate(top, warmup=2, decay="cosine")
    plan = Plan(32, 1, rate, save_every=100, workers=0, bfloat16=False)
    trainer = Trainer(diffa, moving, loss, drawn, plan, ALONE)
    trainer.run(Place(tmp_path / "x.pt", "x", 0), tmp_path / "x")
    assert measured() < 0.95 * at_first
    assert_equal(lm.state_dict(), lm_before)
    after = diffa.state_dict()
    parts = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    other = {"align": "trainable_prompts", "instruct": "acoustic_connector"}[stage]
    assert parts == {"semantic_connector", other}


def test_a_run_leaves_the_published_tensors_and_a_log(both):
    for stage, still in (("align", "acoustic_connector."), ("instruct", "trainable_prompts.")):
        tensors = load_file(both / f"diffa-{stage}" / "model.safetensors")
        assert len(tensors) == 72
        assert tensors.keys() == {
            name
            for name in torch.load(GOLDEN_ADAPTERS / "pytorch_model.bin", weights_only=True)
            if not name.startswith("whisper_model.")
        }
        moved = read_state(both / f"diffa-{stage}.pt")["model"]
        assert not any(name.startswith(still) for name in moved)
        log = (both / f"diffa-{stage}.jsonl").read_text().splitlines()
        row = json.loads(log[0])
        assert row["loss"] > 0
        assert row["audio_s_per_s"] > 0
    picture = both / "curves.svg"
    result = CliRunner().invoke(app, ["train", "plot", str(both), "--out", str(picture)])
    assert result.exit_code == 0, result.output
    assert "diffa-instruct" in picture.read_text()


def test_what_a_run_leaves_is_converted_and_answers(place, both, tmp_path):
    out = tmp_path / "model"
    command = ["--whisper", place / "whisper", "--diffa", both / "diffa-instruct"]
    command += ["--llada", place / "llada", "--out", out]
    result = CliRunner().invoke(app, ["model", "convert", *map(str, command)])
    assert result.exit_code == 0, result.output
    assert (out / "encoder.onnx").is_file()


@pytest.mark.parametrize("stage", STAGES)
def test_a_run_stopped_after_every_step_ends_with_the_weights_of_one_never_stopped(
    place, both, tmp_path, stage
):
    run = tmp_path / "run"
    if stage == "instruct":
        shutil.copytree(both / "diffa-align", run / "diffa-align")
    for _ in range(4):
        train(stage, run, sources(place), options(place, steps=4, hours=0.0))
    left, right = (read_state(each / f"diffa-{stage}.pt") for each in (run, both))
    assert left["step"] == right["step"] == 4
    assert_equal(left["model"], right["model"])
    assert_equal(*(load_file(r / f"diffa-{stage}/model.safetensors") for r in (run, both)))


def test_two_processes_that_share_the_language_model_train_what_one_does(place, both, tmp_path):
    """Two micro-batches of a step: both by one process, or one by each of two."""
    stage = "instruct"
    run = tmp_path / "run"
    shutil.copytree(both / "diffa-align", run / "diffa-align")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", "assistant", "train", "diffa", stage, str(run)]
    command += ["--whisper", "whisper", "--llada", "llada", "--pairs", "data/pairs.jsonl"]
    command += [
        "--config",
        "few.toml",
        "--steps",
        "4",
        "--device",
        "cpu",
        "--threads",
        "1",
        "--shard",
    ]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        command,
        cwd=place,
        env={**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    left, right = (read_state(each / f"diffa-{stage}.pt")["model"] for each in (run, both))
    for name, tensor in right.items():
        torch.testing.assert_close(left[name], tensor, rtol=1e-3, atol=1e-5, msg=name)


def test_layers_computed_twice_give_the_same_gradients(place):
    batch, gradients = batches(place, "align").draw(0), []
    for again in (False, True):
        diffa, lm = models_of(place)
        moving = freeze(diffa, lm, "align")
        if again:
            recompute(lm)
        stage_loss(diffa, lm, "align")(batch).backward()
        gradients.append({name: each.grad for name, each in moving.items()})
    assert_equal(*gradients)


def test_half_precision_trains(place, tmp_path):
    text = (place / "few.toml").read_text().replace("float32", "bfloat16")
    (tmp_path / "half.toml").write_text(text)
    chosen = options(place, config=tmp_path / "half.toml", steps=1)
    assert train("align", tmp_path / "run", sources(place), chosen) == []
    for tensor in load_file(tmp_path / "run" / "diffa-align" / "model.safetensors").values():
        assert tensor.dtype == torch.float32


def test_the_recipes_numbers_are_the_published_ones():
    align, instruct = (
        configs.read(DiffaStage, configs.path_of(f"diffa-{stage}", Path("nowhere")))
        for stage in STAGES
    )
    assert (align.batch, align.micro_batch, align.epochs, align.seed) == (128, 16, 10, 1)
    assert align.schedule == Rate(1e-4, 1000, "linear", weight_decay=0.05, clip=1.0)
    assert (instruct.batch, instruct.micro_batch, instruct.epochs) == (32, 4, 10)
    assert instruct.schedule == Rate(5e-5, 2000, "cosine", weight_decay=0.05, clip=1.0)
    assert align.precision == instruct.precision == "bfloat16"


def test_the_rate_rises_and_falls_to_nothing():
    for decay, middle in (("linear", 0.5), ("cosine", 0.5)):
        rate = Rate(2.0, warmup=10, decay=decay)
        assert rate.at(0, 110) == pytest.approx(0.2)
        assert rate.at(9, 110) == rate.at(10, 110) == pytest.approx(2.0)
        assert rate.at(60, 110) == pytest.approx(2.0 * middle)
        assert rate.at(109, 110) < 0.05


def trainer_of(place, loss=None, *, steps=3, workers=0, team=ALONE):
    diffa, lm = models_of(place)
    moving, drawn = freeze(diffa, lm, "align"), batches(place, "align")
    rate = Rate(1e-3, warmup=1, decay="linear")
    plan = Plan(steps, 2, rate, save_every=100, workers=workers, bfloat16=False)
    loss = loss or stage_loss(diffa, lm, "align")
    return Trainer(diffa, moving, loss, drawn, plan, team)


def test_each_process_reads_its_own_micro_batches_in_order(place):
    drawn = batches(place, "align")
    for rank in (0, 1):
        team = Team(rank, 2, torch.device("cpu"))
        loader = trainer_of(place, workers=2, team=team)._loader(first=1, each=1)
        numbers = [2 + rank, 4 + rank]
        for batch, number in zip(loader, numbers, strict=True):
            assert torch.equal(batch.ids, drawn.draw(number).ids)
            assert torch.equal(batch.features, drawn.draw(number).features)


def test_a_step_without_a_finite_gradient_moves_nothing_and_is_counted(place, tmp_path):
    bad = iter([1.0, 1.0, float("nan")])

    def loss(_batch):
        return trainer.trained["trainable_prompts.weight"].sum() * next(bad, 1.0)

    trainer = trainer_of(place, loss, steps=2)
    place_of = Place(tmp_path / "x.pt", "x", 0)
    outcome = trainer.run(place_of, tmp_path / "x")
    assert (outcome.step, outcome.lost) == (2, 1)
    for each in trainer.trained.values():
        assert each.isfinite().all()


def test_a_stage_that_diverges_ends_with_the_remedy(place, tmp_path):
    def loss(_batch):
        return trainer.trained["trainable_prompts.weight"].sum() * float("nan")

    trainer = trainer_of(place, loss, steps=100)
    with pytest.raises(DivergedError, match=r"lower schedule\.learning_rate"):
        trainer.run(Place(tmp_path / "x.pt", "x", 0), tmp_path / "x")
