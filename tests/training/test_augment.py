"""Augmentation gives sound back: as long as promised, finite, and the same for the same draw."""

import numpy as np
import pytest

from engines.training import augment
from engines.training.augment import Augmentation, Augmenter
from engines.training.corpus import Corpus

EVERYTHING = Augmentation(room=1.0, noise=1.0, babble=0.5, channel=1.0, codec=1.0, clip=1.0)


@pytest.fixture
def audio():
    return np.random.default_rng(0).standard_normal(9000).astype(np.float32) * np.float32(0.1)


@pytest.mark.parametrize(
    "change",
    [
        lambda audio, rng: augment.mix(audio, augment.coloured_noise(len(audio), rng), 10.0),
        augment.colour,
        lambda audio, _: augment.telephone(audio),
        lambda audio, _: augment.reverberate(audio, augment.rooms()[3]),
    ],
    ids=["mix", "colour", "telephone", "reverberate"],
)
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e-6])
def test_a_change_keeps_length_and_stays_finite(audio, change, scale):
    changed = change(audio * np.float32(scale), np.random.default_rng(1))
    assert changed.shape == audio.shape
    assert changed.dtype == np.float32
    assert np.isfinite(changed).all()


@pytest.mark.parametrize("factor", [0.85, 1.0, 1.2])
def test_speed_changes_the_length_by_its_factor(audio, factor):
    assert len(augment.change_speed(audio, factor)) == pytest.approx(len(audio) / factor, abs=2)


def test_noise_is_mixed_at_the_ratio_asked_for(audio):
    noise = np.random.default_rng(2).standard_normal(len(audio)).astype(np.float32)
    added = augment.mix(audio, noise, 12.0) - audio
    assert 10 * np.log10(np.mean(audio**2) / np.mean(added**2)) == pytest.approx(12.0, abs=0.01)


def test_everything_at_once_says_where_the_speech_is(prepared, audio):
    augmenter = Augmenter(EVERYTHING, [Corpus(prepared / "human")])
    for seed in range(5):
        rng = np.random.default_rng(seed)
        said = augmenter.say(audio, rng)
        heard = augmenter.hear(said.audio, rng)
        assert np.isfinite(heard.audio).all()
        assert 0 < said.start < said.end < len(heard.audio) == len(said.audio)
    rng = np.random.default_rng(4)
    again = augmenter.hear(augmenter.say(audio, rng).audio, rng)
    assert np.array_equal(again.audio, heard.audio)


def test_a_telephone_line_keeps_the_words_and_adds_its_grain(audio):
    changed = augment.telephone(audio)
    added = changed - audio
    ratio_db = 10 * np.log10(np.mean(audio**2) / np.mean(added**2))
    assert 25 < ratio_db < 45
    assert len(np.unique(np.abs(changed))) <= 128


@pytest.mark.parametrize(("snr_db", "noisy"), [((0.0, 10.0), True), ((13.0, 30.0), False)])
def test_a_clip_is_called_noisy_when_a_person_would_say_so(prepared, audio, snr_db, noisy):
    options = Augmentation(noise=1.0, snr_db=snr_db)
    augmenter = Augmenter(options, [Corpus(prepared / "human")])
    assert augmenter.hear(audio, np.random.default_rng(0)).noisy is noisy
