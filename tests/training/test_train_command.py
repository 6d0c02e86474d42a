"""`assistant train` from the shell: what it ships runs, and mistakes are one line."""

import errno
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from assistant.cli import mending, train
from assistant.cli.main import app
from assistant.errors import UserError

COMMANDS = "adopt speech label encoder splice blend lm align instruct ship pairs plot".split()


def invoke(*args):
    """Run a command; a mistake of the user's comes back as its line."""
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    if isinstance(result.exception, UserError):
        return str(result.exception)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example(command):
    assert f"assistant train {command}" in " ".join(invoke("train", command, "--help").split())


def test_without_torch_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(mending, "find_spec", lambda _: None)
    assert "pip install 'assistant[train]'" in invoke("train", "encoder", tmp_path)


def test_help_needs_no_torch():
    program = "import sys, assistant.cli.main; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (("encoder", "nowhere"), "no such folder; begin with: assistant train speech"),
        (("ship", "nowhere"), "missing; run first: assistant train align"),
        (("blend", ".", "nowhere"), "run first: assistant train encoder"),
        (("plot", ".", "--out", "x.svg"), "holds no logs"),
        (("pairs", "--data", ".", "--out", "x"), "neither manifest.jsonl nor"),
        (("speech", "--data", ".", "--out", "run"), "names one that holds text/"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, monkeypatch, args, complaint):
    monkeypatch.chdir(tmp_path)
    line = invoke("train", *args)
    assert complaint in line
    assert "\n" not in line


def test_a_full_disk_is_one_line(tmp_path):
    with pytest.raises(UserError, match="the disk is full"), mending.told(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(UserError, match="is the disk full"), mending.told(tmp_path):
        raise RuntimeError("[enforce fail] . PytorchStreamWriter failed writing file data/0")


def test_a_mistake_of_ours_keeps_its_traceback(tmp_path):
    with pytest.raises(RuntimeError, match="shapes"), mending.told(tmp_path):
        raise RuntimeError("shapes cannot be multiplied")


def test_a_stage_is_trained_and_drawn(run):
    invoke("train", "lm", run, "--threads", "1", "--hours", "0")
    picture = run / "lm.svg"
    invoke("train", "plot", run, "--out", picture)
    assert picture.read_text().startswith("<svg")


def test_pairs_have_the_published_schema(data, tmp_path):
    out = tmp_path / "pairs.jsonl"
    invoke("train", "pairs", "--data", data, "--out", out)
    fields = "audio_id audio_filepath transcription input target dataset duration seed_transcript"
    for line in out.read_text().splitlines():
        row = json.loads(line)
        assert set(row) == set(fields.split())
        assert Path(row["audio_filepath"]).is_file()
        assert row["duration"] == 0.8


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")
def test_speech_is_made_with_the_plugins_own_sentences(data, tmp_path, monkeypatch):
    (tmp_path / "espeak-ng").symlink_to(str(shutil.which("espeak-ng")))
    monkeypatch.setenv("PATH", str(tmp_path))
    config = tmp_path / "speech.toml"
    whole = (Path(train.__file__).parents[2] / "engines/training/configs/speech.toml").read_text()
    for old, new in (("60_000", "30"), ("220_000", "50"), ("= 180", "= 1"), ("= 120", "= 1")):
        whole = whole.replace(old, new)
    config.write_text(whole)
    run = tmp_path / "run"
    common = ("--data", data, "--out", run, "--config", config)
    invoke("train", "speech", *common, "--sentences", 20, "--workers", 1)
    clips = [json.loads(line) for line in (run / "speech/plugins/clips.jsonl").open()]
    assert {clip["source"] for clip in clips} == {"plugins"}


@pytest.fixture(scope="module")
def shipped(trained, tmp_path_factory):
    pytest.importorskip("onnxscript")
    out = tmp_path_factory.mktemp("shipped") / "nano"
    out.mkdir()
    (out / "README.md").write_text("kept")
    invoke("train", "ship", trained, "--out", out, "--fp32")
    return out


def test_what_is_shipped_computes_what_was_trained(trained, shipped):
    import torch

    from engines.diffa import QUIET, Engine
    from engines.features import log_mel
    from engines.training.recipe import assemble

    engine = Engine.load(shipped, threads=1)
    audio = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    nano, _ = assemble(trained)
    features = torch.from_numpy(log_mel(np.pad(audio, QUIET)))[None]
    with torch.inference_mode():
        wanted, lengths, spelling = nano.speech(features, torch.tensor([features.shape[2]]))
    prefix = engine.encode(audio)
    heard = prefix.embeddings
    assert heard.shape == (int(lengths[0]), nano.config.lm.d_model)
    np.testing.assert_allclose(heard, wanted[0, : lengths[0]].numpy(), atol=2e-4)
    np.testing.assert_allclose(prefix.spelling, spelling[0].numpy(), atol=2e-3)


def test_a_shipped_graph_names_no_place_of_the_machine_that_made_it(shipped):
    for graph in ("encoder.onnx", "lm.onnx"):
        assert b"/engines/" not in (shipped / graph).read_bytes()


def test_a_shipped_folder_keeps_its_other_files_and_knows_how_it_was_made(shipped):
    assert (shipped / "README.md").read_text() == "kept"
    training = json.loads((shipped / "measured.json").read_text())["training"]
    assert set(training["steps"]) == {"encoder", "lm", "align", "instruct"}
    assert training["speech"]["human"]["clips"] == 6


def test_shipped_weights_are_measured_from_the_shell(shipped, prepared, tmp_path):
    line = invoke(
        *("evaluate", "asr", prepared / "human", "--model", shipped, "--json", "--threads", "1"),
        *("--record", "people"),
    )
    result = json.loads(line)
    assert {"wer", "cer", "n", "by"} <= set(result)
    assert result["n"] == 6
    invoke("evaluate", "card", "--model", shipped)
    assert re.search(r"\| people \| 6 \| [\d.]+ %", (shipped / "README.md").read_text())
    (shipped / "README.md").write_text("kept")


def test_commands_are_measured_with_the_plugins_of_a_folder(shipped, tmp_path):
    import soundfile

    soundfile.write(tmp_path / "a.wav", np.zeros(8000, np.int16), 16_000)
    line = json.dumps({"file": "a.wav", "intent": "greeter.greet", "slots": {}})
    (tmp_path / "m.jsonl").write_text(line)
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    args = ("evaluate", "commands", tmp_path / "m.jsonl", "--plugins", plugins, "--json")
    args = (*args, "--model", shipped, "--threads", "1")
    assert "holds no plugin" in invoke(*args)
    (plugins / "greeter.py").write_text(
        "from assistant.plugin import Plugin, Turn\n"
        "plugin = Plugin('greeter')\n"
        "@plugin.intent('hello [there]', examples=['hello'])\n"
        "async def greet(turn: Turn) -> str:\n"
        "    return 'hi'\n"
    )
    result = json.loads(invoke(*args))
    assert {"accuracy", "n", "by"} <= set(result)
    assert result["n"] == 1


def test_a_model_that_is_none_is_named(prepared, tmp_path):
    line = invoke("evaluate", "asr", prepared / "human", "--model", tmp_path)
    assert "--model" in line
    assert "model.toml" in line


@pytest.fixture(scope="module")
def adopted(trained, shipped, tmp_path_factory):
    """A run that was begun with what `shipped` holds."""
    run = tmp_path_factory.mktemp("adopted") / "run"
    shutil.copytree(trained, run, ignore=shutil.ignore_patterns("*.pt", "*.jsonl", "heldout_*"))
    assert "go on with" in invoke("train", "adopt", shipped, run)
    return run


def speeches(trained, run):
    """What the model of `trained` and the one that begins `run` make of the same features."""
    import torch

    from engines.training.recipe import assemble, fresh
    from engines.training.runs import read_state

    before, _ = assemble(trained)
    after = fresh(run)
    after.load_state_dict(read_state(run / "align.pt")["model"])
    features = torch.randn(1, 80, 200, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        heard = [m.eval().speech(features, torch.tensor([200]))[0] for m in (before, after)]
    return before, after, *heard


def test_a_run_begins_with_the_weights_of_a_shipped_model(trained, shipped, adopted):
    import torch

    from engines.training.runs import read_state

    before, after, wanted, given = speeches(trained, adopted)
    np.testing.assert_allclose(given, wanted, atol=1e-4)
    for name, weight in before.lm.state_dict().items():
        assert torch.equal(weight, after.lm.state_dict()[name]), name
    speller = read_state(adopted / "encoder.pt")
    assert speller["step"] == 0
    assert torch.equal(speller["model"]["head.weight"], after.speech.spelling.weight)
    assert "is there already" in invoke("train", "adopt", shipped, adopted)


def test_a_run_begins_with_quantised_weights_too(trained, tmp_path):
    pytest.importorskip("onnxscript")
    model, run = tmp_path / "model", tmp_path / "run"
    invoke("train", "ship", trained, "--out", model, "--int8")
    run.mkdir()
    for numbers in trained.glob("*.toml"):
        shutil.copy(numbers, run)
    invoke("train", "adopt", model, run)
    *_, wanted, given = speeches(trained, run)
    np.testing.assert_allclose(given, wanted, atol=0.2)


def test_an_adopted_run_goes_on_with_the_encoder_that_was_taught_since(trained, adopted, tmp_path):
    import torch

    from engines.training.runs import read_state

    run = shutil.copytree(adopted, tmp_path / "run")
    shutil.copy(trained / "pairs.jsonl", run)
    for corpus in ("speech/text", "human", "words"):
        if (trained / corpus / "clips.jsonl").is_file():
            shutil.copy(trained / corpus / "clips.jsonl", run / corpus)
    before = read_state(run / "encoder.pt")["model"]["head.weight"]
    invoke("train", "encoder", run)
    taught = read_state(run / "encoder.pt")["model"]["head.weight"]
    assert not torch.equal(taught, before)
    invoke("train", "instruct", run)
    instructed = read_state(run / "instruct.pt")["model"]
    assert torch.equal(instructed["speech.spelling.weight"], taught)


def test_a_model_of_another_shape_is_not_adopted(trained, shipped, tmp_path):
    for numbers in trained.glob("*.toml"):
        shutil.copy(numbers, tmp_path)
    shape = (tmp_path / "encoder.toml").read_text()
    (tmp_path / "encoder.toml").write_text(shape.replace("ff_size = 48", "ff_size = 56"))
    line = invoke("train", "adopt", shipped, tmp_path)
    assert "is not there in the shape" in line
