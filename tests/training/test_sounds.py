"""Words are told to the encoder as phonemes too, which espeak-ng knows."""

import shutil

import pytest

torch = pytest.importorskip("torch")

from engines.training import sounds  # noqa: E402
from engines.training.configs import path_of  # noqa: E402
from engines.training.encoder import CtcEncoder, Spelling, ctc_loss  # noqa: E402
from engines.training.recipe import Options, fresh_speller, train  # noqa: E402
from engines.training.runs import read_state  # noqa: E402
from engines.training.sounds import PHONEMES, SIZE, SOUNDS, learn, pronounce, sounds_of  # noqa: E402
from engines.training.voices import VoiceError  # noqa: E402

needs_espeak = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is missing")


@needs_espeak
def test_words_are_pronounced_without_stress():
    said = dict(pronounce(["kitchen", "the", "a", "phone", "twenty"]))
    assert said["kitchen"] == ["k", "I", "tS", "@", "n"]
    assert said["phone"] == ["f", "oU", "n"]
    assert all(each in PHONEMES for phonemes in said.values() for each in phonemes)


def test_a_line_that_espeak_reads_as_two_does_not_shift_the_others(monkeypatch):
    def espeak(text):
        lines = {"one.\n": " w 'V n\n", "two.\n": " t 'u:\n"}
        if text in lines or f"{text}\n" in lines:
            return lines[text if text in lines else f"{text}\n"]
        return " w 'V n\n _ \n t 'u:\n"

    monkeypatch.setattr(sounds, "_espeak", espeak)
    assert pronounce(["one", "two"]) == [("one", ["w", "V", "n"]), ("two", ["t", "u:"])]


def test_only_new_words_are_asked_for_and_all_are_kept(monkeypatch, tmp_path):
    asked = []

    def espeak(text):
        asked.append(text)
        return " s I 'k s\n" * text.count("\n")

    monkeypatch.setattr(sounds, "_espeak", espeak)
    first = learn(["six"], tmp_path / SOUNDS)
    assert first["six"] == [PHONEMES.index(each) + 1 for each in ("s", "I", "k", "s")]
    both = learn({"six", "sick"}, tmp_path / SOUNDS)
    assert both.keys() == {"six", "sick"}
    assert asked == ["six.\n", "sick.\n"]
    assert sounds_of("six unknown six", both) == 2 * first["six"]


def test_without_espeak_the_remedy_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(VoiceError, match=r"install it, or set spelling\.sounds = false"):
        learn(["six"], tmp_path / SOUNDS)


def with_sounds(run, tmp_path):
    numbers = path_of("encoder", run).read_text()
    config = tmp_path / "encoder.toml"
    config.write_text(f"{numbers}\n[spelling]\nsounds = true\nguided_steps = 0\n")
    return config


@needs_espeak
def test_the_middle_state_learns_them_and_the_run_can_be_resumed(run, tmp_path):
    config = with_sounds(run, tmp_path)
    train("encoder", run, Options(config=config, threads=1, steps=2))
    assert read_state(run / "encoder.pt")["model"]["sound_head.weight"].shape[0] == 2 * SIZE
    train("encoder", run, Options(threads=1, steps=3))
    assert read_state(run / "encoder.pt")["step"] == 3
    assert (run / SOUNDS).read_text().startswith("a ")
    assert fresh_speller(run)[0].sound_head is not None


def test_two_phonemes_are_told_in_each_frame():
    from engines.nano_encoder import NanoEncoderConfig

    shape = NanoEncoderConfig(d_model=32, n_layers=2, n_heads=2, ff_size=48, kernel=3, dropout=0.0)
    torch.manual_seed(0)
    model = CtcEncoder(shape, 64, 1, sounds=SIZE)
    last, middle, lengths = model(torch.randn(2, 80, 160), torch.tensor([160, 80]))
    assert middle.shape == (2, 2 * last.shape[1], SIZE)
    torch.testing.assert_close(middle.exp().sum(-1), torch.ones(middle.shape[:2]))
    said = torch.tensor([1, 2, 3, 4, 5])
    batch = {
        "features": torch.randn(2, 80, 160),
        "lengths": torch.tensor([160, 80]),
        "targets": torch.tensor([20, 21, 22]),
        "target_lengths": torch.tensor([2, 1]),
        "sounds": said,
        "sound_lengths": torch.tensor([3, 2]),
        "step": 0,
    }
    scalars = ctc_loss(Spelling(middle_weight=1.0, sounds=True, guided_steps=0))(model, batch)
    assert scalars["loss"] == scalars["middle"]
    spelled = torch.nn.functional.ctc_loss(
        model(batch["features"], batch["lengths"])[1].transpose(0, 1),
        said, 2 * lengths, batch["sound_lengths"], blank=0, reduction="sum",
    ) / 5  # fmt: skip
    torch.testing.assert_close(scalars["middle"], spelled)
