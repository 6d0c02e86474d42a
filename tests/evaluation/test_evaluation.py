"""Error rates, understood commands and the card, measured on recordings that a fake hears."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from assistant.cli.evaluate import app
from engines.evaluation import asr, card, commands
from engines.evaluation.commands import Reading, is_right, same
from engines.evaluation.intervals import interval
from engines.evaluation.samples import ManifestError, Noise, Sample, read_samples

LEVELS = [1000, 2000, 3000, 4000]


def manifest(folder: Path, *rows: dict[str, object]) -> Path:
    """Recordings of a constant level each, so that a fake knows them apart."""
    with (folder / "manifest.jsonl").open("w") as lines:
        for level, row in zip(LEVELS, rows, strict=False):
            name = f"{level}.wav"
            soundfile.write(folder / name, np.full(1600, level, np.int16), 16_000)
            lines.write(json.dumps({"file": name, **row}) + "\n")
    return folder / "manifest.jsonl"


def level(audio: np.ndarray) -> int:
    return int(np.median(audio)) // 900 * 1000


def listener(said: dict[int, object]):
    return lambda audio: said[level(audio)]


@pytest.fixture
def spoken(tmp_path):
    return manifest(
        tmp_path,
        {"text": "Turn on 2 lamps!", "speaker": "a", "source": "x", "age": 9},
        {"text": "stop", "speaker": "b", "source": "x"},
        {"text": "good night", "speaker": "b", "source": "y"},
        {"text": "", "speaker": "b"},
    )


def test_error_rates_are_whole_and_by_group(spoken):
    hear = listener({1000: "turn on two lamps", 2000: "stop it", 3000: "night", 4000: "x"})
    result = asr.evaluate(read_samples(spoken), hear)
    assert (result["n"], result["untold"], result["unreadable"]) == (3, 1, [])
    assert result["wer"] == round(2 / 7, 4)
    assert result["by"]["source"]["x"]["wer"] == 0.2
    assert result["by"]["speaker"]["b"]["n"] == 2
    assert result["by"]["age"]["9"]["wer"] == 0
    low, high = result["wer_interval"]
    assert 0 <= low <= result["wer"] <= high <= 1
    json.dumps(result)


def test_a_recording_that_cannot_be_read_is_listed(spoken):
    (spoken.parent / "1000.wav").write_bytes(b"no sound")
    (spoken.parent / "2000.wav").unlink()
    result = asr.evaluate(read_samples(spoken), lambda _: "good night")
    assert result["unreadable"] == ["1000.wav", "2000.wav"]
    assert (result["n"], result["wer"]) == (1, 0.0)


def test_a_limit_is_spread_over_the_manifest(spoken):
    assert [sample.name for sample in read_samples(spoken, 2)] == ["1000.wav", "3000.wav"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "lists no recordings"),
        ("{", "line 1: no JSON"),
        ('"a.wav"', 'line 1: names no "file"'),
        ("{}", 'line 1: names no "file"'),
        ('{"file": 5}', 'line 1: names no "file"'),
        ("[1]", 'line 1: names no "file"'),
    ],
)
def test_a_manifest_that_is_none_is_named(tmp_path, text, complaint):
    path = tmp_path / "m.jsonl"
    path.write_text(text)
    with pytest.raises(ManifestError, match=complaint):
        read_samples(path)


def test_a_noise_without_a_sound_is_none():
    with pytest.raises(ManifestError, match="holds no sound"):
        Noise(np.zeros(100, np.int16), 12.0)


def test_a_level_without_a_noise_is_refused(spoken):
    result = CliRunner().invoke(app, ["asr", str(spoken), "--snr", "3"])
    assert "give one with --noise" in str(result.exception)


def test_noise_is_the_same_each_time_and_as_loud_as_asked_for():
    rng = np.random.default_rng(0)
    audio = (rng.standard_normal(8000) * 3000).astype(np.int16)
    noise = Noise((rng.standard_normal(5000) * 500).astype(np.int16), snr_db=6.0)
    noisy = noise.over(audio, 1)
    assert np.array_equal(noisy, noise.over(audio, 1))
    assert not np.array_equal(noisy, noise.over(audio, 2))
    added = noisy.astype(float) - audio
    ratio_db = 10 * np.log10(np.mean(audio.astype(float) ** 2) / np.mean(added**2))
    assert ratio_db == pytest.approx(6.0, abs=0.1)


@pytest.mark.parametrize(
    ("reading", "label", "right"),
    [
        (Reading("", "lights.on", {"room": "Kitchen"}), {"intent": "lights.on"}, True),
        (Reading("", "lights.on", {"room": "Kitchen"}), {"intent": "on"}, True),
        (Reading("", "lights.on", {}), {"intent": "timer.on"}, False),
        (Reading("", "l.on", {"n": 5}), {"intent": "on", "slots": {"n": "five"}}, True),
        (Reading("", "l.on", {"n": 6}), {"intent": "on", "slots": {"n": "five"}}, False),
        (Reading("", "l.on", {}), {"intent": "on", "slots": {"n": 5}}, False),
        (Reading("", None, {}), {"intent": None}, True),
        (Reading("", "l.on", {}), {"intent": None}, False),
        (Reading("", None, {}), {"intent": "on"}, False),
    ],
)
def test_a_command_is_right_when_intent_and_every_labelled_slot_are(reading, label, right):
    assert is_right(reading, label) is right


def test_values_are_compared_as_they_are_said():
    assert same(300.0, 300)
    assert same("Living Room", "living room")
    assert same([1, "two"], ["one", 2])
    assert same("07:30", "07:30")
    assert same("grey", "gray")
    assert not same("kitchen", "bedroom")


def test_accuracy_counts_refusals_and_lists_mistakes(tmp_path):
    path = manifest(
        tmp_path,
        {"intent": "lights.on", "slots": {"room": "hall"}, "speaker": "a"},
        {"intent": None, "speaker": "b"},
        {"intent": "lights.on", "speaker": "b"},
        {"text": "not labelled"},
    )
    heard = {
        1000: Reading("hall on", "lights.on", {"room": "hall"}),
        2000: Reading("tell a joke", None, {}),
        3000: Reading("of", "lights.off", {}),
    }
    result = commands.evaluate(read_samples(path), listener(heard))
    assert (result["accuracy"], result["n"]) == (round(2 / 3, 4), 3)
    assert result["by"]["intent"]["out of domain"]["accuracy"] == 1.0
    assert [mistake["file"] for mistake in result["wrong"]] == ["3000.wav"]
    json.dumps(result)


def test_commands_without_labels_are_refused(spoken):
    with pytest.raises(ManifestError, match='no line of the manifest has an "intent"'):
        commands.evaluate(read_samples(spoken), lambda _: Reading("", None, {}))


def test_an_interval_holds_the_ratio_and_narrows_with_more_speakers():
    few = [(f"s{n % 6}", n % 3 == 0, 1.0) for n in range(30)]
    many = [(f"s{n % 60}", n % 3 == 0, 1.0) for n in range(300)]
    (low, high), (low2, high2) = interval(few), interval(many)
    assert low <= 1 / 3 <= high
    assert high2 - low2 < high - low


def test_the_card_holds_what_was_measured_and_comes_out_the_same_again(tmp_path):
    speech = {"human": {"clips": 3, "hours": 0.5}}
    facts = {"parameters": 21_000_000, "steps": {"encoder": 9}, "speech": speech}
    card.record_training(tmp_path, {**facts, "precision": "int8"})
    rates = {"wer": 0.123, "cer": 0.05, "n": 7, "wer_interval": [0.1, 0.15], "by": {"x": 1}}
    card.record(tmp_path, "asr", "unseen people", {**rates, "cer_interval": [0, 1]})
    result = {"accuracy": 0.9, "n": 10, "accuracy_interval": [0.8, 1.0], "wrong": []}
    card.record(tmp_path, "commands", "unseen voices", result)
    text = card.write_card(tmp_path).read_text()
    assert "| unseen people | 7 | 12.3 % (10.0 to 15.0) |" in text
    assert "| unseen voices | 10 | 90.0 % (80.0 to 100.0) |" in text
    assert "21.0 million parameters, stored as int8" in text
    assert "$" not in text
    assert card.write_card(tmp_path).read_text() == text


def test_the_card_says_where_the_encoders_first_weights_come_from(tmp_path):
    card.record_training(tmp_path, {"parameters": 1})
    assert "Whisper" not in card.render(card.read(tmp_path))
    card.record_training(tmp_path, {"whisper": {"encoder_layers": 6, "d_model": 512}})
    text = card.render(card.read(tmp_path))
    assert "begins with Whisper's (arXiv 2212.04356; 6 layers of 512)" in text
    assert "| Whisper, as published by OpenAI | the encoder's first weights | MIT |" in text
    assert "`whisper.LICENSE`" in text


def test_a_card_of_new_weights_forgets_the_numbers_of_old_ones(tmp_path):
    card.record(tmp_path, "asr", "people", {"wer": 0.5, "cer": 0.5, "n": 1})
    card.record_training(tmp_path, {"parameters": 1})
    text = card.render(card.read(tmp_path))
    assert "50.0 %" not in text
    assert "Not measured yet." in text


def test_damaged_numbers_are_named(tmp_path):
    (tmp_path / "measured.json").write_text("{")
    with pytest.raises(card.CardError, match=r"measured\.json cannot be read"):
        card.write_card(tmp_path)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ({"intent": 5}, '"intent" must be a name, or null, not 5'),
        ({"intent": ""}, '"intent" must be a name'),
        ({"intent": "lights.on", "slots": ["hall"]}, '"slots" must be a table'),
    ],
)
def test_a_label_that_is_none_is_named_before_anything_is_heard(line, complaint):
    sample = Sample("a.wav", line, lambda: pytest.fail("heard"))
    with pytest.raises(ManifestError, match=f"a.wav: {complaint}"):
        commands.evaluate([sample], lambda _: pytest.fail("understood"))
