"""Stage `speech`: what it makes, what it survives, and what it says when it cannot."""

import json
import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines.training.configs import path_of, read
from engines.training.corpus import Corpus, CorpusError, CorpusWriter
from engines.training.preparation import UNABLE, PreparationError, SpeechStage, prepare, speak_all
from engines.training.speech import Line, held_out, held_out_humans, salad
from engines.training.voices import Voice, VoiceError, engines, speak

TEMPLATES = [
    {"text": f"turn on lamp {n}", "intent": "lights.on", "slots": {"lamp": n}} for n in range(300)
]
spoken = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")


@pytest.fixture
def stage(tmp_path: Path) -> SpeechStage:
    whole = read(SpeechStage, path_of("speech", tmp_path))
    shares = {"text": 0.5, "requests": 0.25, "plugins": 0.25}
    few = {"text": 3, "plugins": 2}
    small = replace(whole, sentences=40, workers=1, request_draws=50, pairs=100, held_out=few)
    return replace(small, shares=shares)


@pytest.fixture
def quick(monkeypatch, tmp_path_factory):
    """Only espeak-ng on the path: it is by far the quickest voice."""
    folder = tmp_path_factory.mktemp("path")
    (folder / "espeak-ng").symlink_to(str(shutil.which("espeak-ng")))
    monkeypatch.setenv("PATH", str(folder))


def written(run: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}


@spoken
@pytest.mark.usefixtures("quick")
def test_a_run_is_filled_and_a_second_time_costs_nothing(data, tmp_path, stage):
    steps = {step.part: step for step in prepare(data, tmp_path / "run", stage, TEMPLATES)}
    run = tmp_path / "run"
    assert steps["human"].counts["unreadable"] + steps["heldout_human"].counts["failed"] == 1
    assert {clip.source for clip in Corpus(run / "speech" / "plugins")} == {"plugins"}
    assert len(Corpus(run / "speech" / "text").clips) == steps["text"].counts["clips"] == 20
    pairs = [json.loads(line) for line in (run / "pairs.jsonl").open()]
    assert {"text", "answer", "weight"} == set(pairs[0])
    answers = {pair["answer"] for pair in pairs}
    assert UNABLE in answers
    assert not any(answer.startswith("Okay,") for answer in answers)  # nano itself does nothing
    assert "ann has two apples" in (run / "written.txt").read_text().splitlines()
    before = written(run)
    list(prepare(data, run, stage, TEMPLATES))
    assert written(run) == before


@spoken
@pytest.mark.usefixtures("quick")
def test_what_is_held_out_is_met_by_no_stage(data, tmp_path, stage):
    run = tmp_path / "run"
    list(prepare(data, run, stage, TEMPLATES))
    rows = [json.loads(line) for line in (run / "heldout_synthetic" / "manifest.jsonl").open()]
    assert all(held_out(row["text"]) for row in rows)
    assert any(row.get("intent") == "lights.on" and "lamp" in row["slots"] for row in rows)
    heard = {clip.text for folder in (run / "speech").iterdir() for clip in Corpus(folder)}
    assert not heard & {row["text"] for row in rows}
    strangers = held_out_humans(data / "speech" / "manifest.jsonl")
    assert strangers
    assert not strangers & {clip.speaker for clip in Corpus(run / "human")}


@spoken
@pytest.mark.usefixtures("quick")
def test_speech_killed_halfway_ends_as_speech_never_killed(tmp_path, stage):
    lines = [Line(f"number {n}", "test") for n in range(150)]
    list(speak_all("text", lines, tmp_path / "whole", stage))
    killed = tmp_path / "killed"
    next(steps := speak_all("text", lines, killed, stage))
    steps.close()
    with (killed / "clips.jsonl").open("a") as clips, (killed / "audio.s16").open("ab") as audio:
        clips.write('{"offset": 12')  # a line that the kill tore
        audio.write(b"\1\2\3")
    last = list(speak_all("text", lines, killed, stage))[-1]
    assert last.counts["clips"] == 150
    for name in ("clips.jsonl", "audio.s16"):
        assert (killed / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@spoken
@pytest.mark.usefixtures("quick")
def test_other_sentences_do_not_mix_with_those_of_before(tmp_path, stage):
    list(speak_all("text", [Line("one", "test")], tmp_path / "corpus", stage))
    with pytest.raises(PreparationError, match="begun with other sentences"):
        list(speak_all("text", [Line("two", "test")], tmp_path / "corpus", stage))


@spoken
@pytest.mark.usefixtures("quick")
def test_sentences_nobody_can_say_are_no_corpus(tmp_path, stage):
    with pytest.raises(CorpusError, match="none of 2 sentences could be spoken"):
        list(speak_all("text", [Line("", "test"), Line(" ", "test")], tmp_path / "x", stage))


def test_a_machine_without_voices_is_told_which_to_install(tmp_path, monkeypatch, stage):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(VoiceError, match="install espeak-ng, flite or festival"):
        engines()
    with pytest.raises(VoiceError, match="flite is not installed"):
        speak(Voice("flite", "slt", "female"), "hello")
    with pytest.raises(VoiceError, match="no speech engine found"):
        list(speak_all("text", [Line("hello", "test")], tmp_path / "corpus", stage))


def test_data_without_texts_is_named(tmp_path, stage):
    with pytest.raises(PreparationError, match=r"text: no such folder"):
        list(prepare(tmp_path, tmp_path / "run", stage, []))


def test_a_corpus_cut_short_keeps_its_whole_clips(prepared, tmp_path):
    corpus = Path(shutil.copytree(prepared / "human", tmp_path / "corpus"))
    whole = Corpus(corpus)
    os.truncate(corpus / "audio.s16", 2 * (whole.clips[-1].offset + 10))
    assert Corpus(corpus).clips == whole.clips[:-1]


def test_a_line_that_a_kill_tore_is_left_out(prepared, tmp_path):
    corpus = Path(shutil.copytree(prepared / "human", tmp_path / "corpus"))
    os.truncate(corpus / "clips.jsonl", (corpus / "clips.jsonl").stat().st_size - 5)
    assert Corpus(corpus).clips == Corpus(prepared / "human").clips[:-1]


def test_a_corpus_is_continued(tmp_path):
    audio = np.arange(100, dtype=np.int16)
    for text in ("one", "two"):
        with CorpusWriter(tmp_path) as writer:
            writer.add(audio, text=text, speaker="a", source="b")
    corpus = Corpus(tmp_path)
    assert [clip.text for clip in corpus] == ["one", "two"]
    assert corpus.audio(corpus.clips[1]).tolist() == audio.tolist()


@pytest.mark.parametrize("content", [None, "", '{"offset": 0}\n', "not json\n"])
def test_a_folder_that_is_no_corpus_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "clips.jsonl").write_text(content)
        (tmp_path / "audio.s16").write_bytes(b"\0\0")
    with pytest.raises(CorpusError, match=str(tmp_path)):
        Corpus(tmp_path)


def test_a_salad_has_all_words_alike_and_none_that_is_held_out():
    texts = ["turn on the light", "turn off the light", "a rare xylophone"]
    lines = salad(texts, 4000, seed=3)
    assert lines == salad(texts, 4000, seed=3)
    assert not any(held_out(line.text) for line in lines)
    said = Counter(word for line in lines for word in line.text.split())
    assert said.keys() == {"turn", "on", "the", "light", "off", "rare", "xylophone"}
    assert max(said.values()) < 1.3 * min(said.values())
    assert {len(line.text.split()) for line in lines} == set(range(1, 7))
    assert salad([], 10, seed=3) == []
