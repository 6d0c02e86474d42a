"""Data, checkpoints or numbers that DIFFA cannot be trained with are counted or said in a line."""

import shutil
from contextlib import nullcontext

import pytest

torch = pytest.importorskip("torch")

from typer.testing import CliRunner  # noqa: E402

from assistant.cli.main import app  # noqa: E402
from engines.checkpoints import CheckpointError  # noqa: E402
from engines.training.diffa import recipe  # noqa: E402
from engines.training.diffa.pairs import PairsError  # noqa: E402
from engines.training.diffa.processes import Team  # noqa: E402
from engines.training.diffa.recipe import train  # noqa: E402
from engines.training.runs import RunError  # noqa: E402
from engines.training.saving import CheckpointMismatchError  # noqa: E402
from tests.engines.published import diffa_tensors, write_diffa  # noqa: E402
from tests.training.diffa import STAGES, options, sources, write_pairs  # noqa: E402


def refusal(stage, run, given, chosen, kind=ValueError):
    with pytest.raises(kind) as caught:
        train(stage, run, given, chosen)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_heard_gives_its_place_and_is_counted(place, tmp_path):
    data = tmp_path / "data"
    path = write_pairs(data)
    (data / "0.wav").write_bytes(b"no sound")
    (data / "1.wav").unlink()
    with path.open("a") as file:
        file.write('{"torn\n{"audio_filepath": "2.wav", "input": "what", "target": " "}\n')
    notes = train("align", tmp_path / "run", sources(place, pairs=path), options(place, steps=4))
    said = "\n".join(notes)
    assert "left out 2 lines without the recording" in said
    assert "left out 1 lines not a pair" in said
    assert "left out 1 lines without audio_filepath, instruction or target" in said
    assert "times a pair could not be heard" in said
    assert "0.wav" in said


def test_pairs_of_which_none_can_be_heard_end_the_run(place, tmp_path):
    path = write_pairs(tmp_path / "data")
    for wav in path.parent.glob("*.wav"):
        wav.write_bytes(b"no sound")
    for workers in (0, 1):
        text = (place / "few.toml").read_text().replace("workers = 0", f"workers = {workers}")
        (tmp_path / "c.toml").write_text(text)
        chosen = options(place, config=tmp_path / "c.toml")
        said = refusal("align", tmp_path / "run", sources(place, pairs=path), chosen, PairsError)
        assert "6 pairs in a row cannot be heard" in said
    for wav in path.parent.glob("*.wav"):
        wav.unlink()
    said = refusal("align", tmp_path / "run", sources(place, pairs=path), chosen, PairsError)
    assert "no pair to learn from (12 without the recording)" in said


def test_other_pairs_are_refused_at_a_resume(place, both, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(both, run)
    path = write_pairs(tmp_path / "data", count=3)
    given = sources(place, pairs=path)
    said = refusal("align", run, given, options(place), CheckpointMismatchError)
    assert "diffa-align.pt was trained on other pairs" in said


def test_adapters_of_another_model_are_refused(place, both, tmp_path):
    write_diffa(tmp_path / "narrow", "whisper-small", diffa_tensors(48, 32, taps=4))
    said = refusal(
        "align",
        tmp_path / "run",
        sources(place, diffa=tmp_path / "narrow"),
        options(place),
        CheckpointError,
    )
    assert "made for a model of 32, this one is 64" in said


def test_a_state_of_another_shape_is_refused(place, both, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(both, run)
    state = torch.load(run / "diffa-align.pt", weights_only=True)
    state["model"]["trainable_prompts.weight"] = torch.zeros(20, 32)
    torch.save(state, run / "diffa-align.pt")
    said = refusal("align", run, sources(place), options(place), CheckpointMismatchError)
    assert "trainable_prompts.weight is [20, 32], not [20, 64]" in said


def test_instruct_before_align_names_the_command(place, tmp_path):
    said = refusal("instruct", tmp_path / "run", sources(place), options(place), RunError)
    assert "run first: assistant train diffa align" in said


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("batch = 4", "batch = 5", "batch 5 is no multiple of micro_batch"),
        ('"float32"', '"float8"', "precision is bfloat16 or float32"),
        ('"cosine"', '"steps"', "decay is linear or cosine"),
    ],
)
def test_numbers_that_do_not_go_together_are_named(place, tmp_path, old, new, message):
    text = (place / "few.toml").read_text().replace(f"{old}\n", f"{new}\n", 1)
    (tmp_path / "c.toml").write_text(text)
    chosen = options(place, config=tmp_path / "c.toml")
    assert message in refusal("align", tmp_path / "run", sources(place), chosen)


def test_processes_that_cannot_share_a_step_are_told(place, tmp_path, monkeypatch):
    three = nullcontext(Team(0, 3, torch.device("cpu")))
    monkeypatch.setattr(recipe, "team", lambda _: three)
    said = refusal("align", tmp_path / "run", sources(place), options(place))
    assert "2 micro-batches, which 3 processes cannot share evenly" in said


@pytest.mark.parametrize("stage", STAGES)
def test_a_mistake_at_the_shell_is_one_line(place, tmp_path, stage):
    command = ["train", "diffa", stage, "--help"]
    shown = CliRunner().invoke(app, command).output
    assert f"torchrun --nproc-per-node 4 -m assistant train diffa {stage}" in " ".join(
        shown.split()
    )
    command = ["train", "diffa", "align", str(tmp_path / "run"), "--whisper", str(tmp_path)]
    command += ["--llada", str(place / "llada"), "--pairs", "nowhere.jsonl"]
    result = CliRunner().invoke(app, command)
    assert "config.json" in str(result.exception)
    assert "\n" not in str(result.exception)
