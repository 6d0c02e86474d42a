"""Of recordings without words the stretches are kept that a recogniser is sure of."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from assistant.cli.train import app
from assistant.errors import UserError
from engines.evaluation.peers import Word
from engines.training.corpus import Corpus, CorpusError
from engines.training.labelling import SURE, Stretch, label, stretches

RATE_HZ = 16_000


def heard(*said):
    """One word in each half second, given as its text, or as text and probability."""
    words = []
    for place, each in enumerate(said):
        text, probability = each if isinstance(each, tuple) else (each, 0.9)
        words.append(Word(text, place * 8000, (place + 1) * 8000, probability))
    return words


def later(words, samples):
    return [replace(w, begin=w.begin + samples, end=w.end + samples) for w in words]


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (heard("one", "two", "three"), [Stretch("one two three", 0, 24000)]),
        (heard("one", "two"), []),
        (heard(), []),
        (
            heard(("no", SURE - 0.01), "one", "two", "three", ("no", 0.0)),
            [Stretch("one two three", 8000, 32000)],
        ),
        (heard("one", "two", "", "three", "four"), []),
        (
            heard(*["word"] * 20),
            [
                Stretch(" ".join(["word"] * 10), 0, 80_000),
                Stretch(" ".join(["word"] * 10), 80_000, 160_000),
            ],
        ),
        (
            [*heard(*["word"] * 16), *later(heard(*["Word,"] * 4), 132_000)],
            [
                Stretch(" ".join(["word"] * 16), 0, 128_000),
                Stretch(" ".join(["word"] * 4), 132_000, 164_000),
            ],
        ),
    ],
    ids=[
        "sure",
        "too few",
        "none",
        "unsure ends",
        "a noise between",
        "too long",
        "too long, with a pause",
    ],
)
def test_sure_words_that_follow_each_other_are_a_stretch(words, kept):
    assert list(stretches(words)) == kept


@pytest.fixture
def manifest(tmp_path):
    folder = tmp_path / "speech"
    (folder / "readers").mkdir(parents=True)
    rows = [
        {"file": "readers/a.wav", "text": "", "speaker": "readers/a"},
        {"file": "readers/b.wav", "speaker": "readers/b"},
        {"file": "readers/torn.wav", "speaker": "readers/b"},
        {"file": "readers/c.wav", "text": "known already", "speaker": "readers/c"},
    ]
    ramp = np.arange(40_000, dtype=np.int16)
    for name in "abc":
        soundfile.write(folder / "readers" / f"{name}.wav", ramp, RATE_HZ)
    (folder / "readers/torn.wav").write_bytes(b"RIFF")
    path = folder / "manifest.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_what_is_sure_becomes_a_corpus_and_the_rest_is_counted(manifest, tmp_path):
    answers = iter([heard(("no", 0.1), "one", "two", "three"), heard("too", "few")])
    steps = list(label(manifest, tmp_path / "run", lambda _: next(answers)))
    assert (steps[-1].done, steps[-1].total) == (3, 3)
    assert steps[-1].counts == {"clips": 1, "unused": 1, "unreadable": 1}
    corpus = Corpus(tmp_path / "run" / "labelled")
    (clip,) = corpus
    assert (clip.text, clip.speaker, clip.source) == ("one two three", "readers/a", "readers")
    assert np.abs(corpus.audio(clip).astype(int) - np.arange(8000, 32_000)).max() <= 1


def test_lines_that_are_none_and_files_without_sound_cost_only_themselves(manifest, tmp_path):
    soundfile.write(manifest.parent / "readers/b.wav", np.zeros(0, np.int16), RATE_HZ)
    with manifest.open("a") as lines:
        lines.write("not json\n")
    *_, last = label(manifest, tmp_path / "run", lambda _: heard("one", "two", "three"))
    assert last.counts == {"clips": 1, "unused": 0, "unreadable": 2, "malformed": 1}


def test_nothing_sure_leaves_no_corpus(manifest, tmp_path):
    with pytest.raises(CorpusError, match="of 3 recordings no words were sure"):
        list(label(manifest, tmp_path / "run", lambda _: []))
    assert not (tmp_path / "run" / "labelled").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is no manifest of recordings"),
        ("{}\n", "is no manifest of recordings"),
        ("not json\n", "is no manifest of recordings"),
        ('{"file": "a.wav", "speaker": "a", "text": "one"}\n', "every recording there has its"),
    ],
)
def test_a_manifest_without_such_recordings_is_one_line(tmp_path, content, message):
    path = tmp_path / "manifest.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(CorpusError, match=message):
        list(label(path, tmp_path / "run", lambda _: []))


def test_the_command_names_data_that_is_not_there(tmp_path):
    pytest.importorskip("pocketsphinx")
    given = ["label", str(tmp_path), "--data", str(tmp_path / "nowhere")]
    result = CliRunner().invoke(app, given)
    assert isinstance(result.exception, UserError)
    assert "nowhere/speech/manifest.jsonl is no manifest" in str(result.exception)
