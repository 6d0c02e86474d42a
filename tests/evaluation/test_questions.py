"""Questions with accepted answers, by a fake and by the whole assistant; and a peer beside us."""

import json
import shutil
from pathlib import Path

import pytest
import soundfile
from typer.testing import CliRunner

from assistant.audio.files import load_audio
from assistant.cli.main import app
from assistant.errors import UserError
from engines.evaluation import questions
from engines.evaluation.samples import ManifestError, read_samples

RECORDINGS = Path(__file__).parents[2] / "assistant" / "recordings"


@pytest.fixture
def asked(tmp_path):
    """A recording that the timer answers and one that nobody could answer so."""
    rows = [
        {"file": "2-timer.opus", "kind": "command", "text": "set a timer", "accepted": ["timer"]},
        {"file": "3-time.opus", "kind": "fact", "text": "the time", "accepted": ["tuba", "oboe"]},
        {"file": "gone.opus", "kind": "fact", "accepted": ["nothing"]},
    ]
    for row in rows[:2]:
        shutil.copy(RECORDINGS / row["file"], tmp_path)
    (tmp_path / "manifest.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return tmp_path


def test_any_accepted_word_is_enough_and_mistakes_are_listed(asked):
    answers = iter(["Your Timer is set.", "It is ten."])
    result = questions.evaluate(read_samples(asked), lambda _: next(answers))
    assert (result["accuracy"], result["n"], result["unreadable"]) == (0.5, 2, ["gone.opus"])
    assert result["by"]["kind"]["command"]["accuracy"] == 1.0
    (mistake,) = result["wrong"]
    assert mistake["answer"] == "It is ten."
    assert mistake["accepted"] == ["tuba", "oboe"]


@pytest.mark.parametrize("row", [{"text": "hello"}, {"accepted": "yes"}, {"accepted": [1]}])
def test_a_manifest_without_lists_of_words_is_refused(tmp_path, row):
    (tmp_path / "manifest.jsonl").write_text(json.dumps({"file": "a.wav", **row}))
    with pytest.raises(ManifestError, match="accepted"):
        questions.evaluate(read_samples(tmp_path), lambda _: "")


def test_the_whole_assistant_is_asked(asked):
    done = CliRunner().invoke(app, ["evaluate", "questions", str(asked), "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["by"]["kind"]["command"]["accuracy"] == 1.0
    assert result["by"]["kind"]["fact"]["accuracy"] == 0.0


def test_a_peer_hears_the_same_recordings(tmp_path):
    pytest.importorskip("pocketsphinx")
    samples = load_audio(RECORDINGS / "3-time.opus", max_seconds=10).samples
    soundfile.write(tmp_path / "a.wav", samples, 16_000)
    row = {"file": "a.wav", "text": "what time is it now"}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row))
    command = ["evaluate", "asr", str(tmp_path), "--peer", "pocketsphinx", "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    peer = json.loads(done.stdout)["peer"]
    assert peer["name"].startswith("pocketsphinx")
    assert 0.0 <= peer["wer"] <= 2.0
    assert peer["n"] == 1


def test_an_unknown_peer_is_one_line(tmp_path):
    shutil.copy(RECORDINGS / "3-time.opus", tmp_path)
    (tmp_path / "manifest.jsonl").write_text('{"file": "3-time.opus", "text": "what time is it"}')
    done = CliRunner().invoke(app, ["evaluate", "asr", str(tmp_path), "--peer", "parrot"])
    assert isinstance(done.exception, UserError)
    assert "no recogniser 'parrot'; use one of pocketsphinx" in str(done.exception)
