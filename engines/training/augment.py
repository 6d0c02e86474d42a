"""What a clip goes through on its way to training: rooms, noise, channels, tempo.

Everything takes and gives mono float32 samples at 16 kHz and draws from one random generator.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from engines.training.corpus import Corpus

SAMPLE_RATE_HZ = 16_000
SPEED_OF_SOUND = 343.0
_ROOMS = 96
_NOISES = 64
NOISE_S = 24
_MOST_TALKERS = 6
NOISY_DB = 12.0
_MU = 255.0

Audio = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How often and how strongly each thing happens."""

    speed: float = 0.15
    """Tempo, pitch and formants together, up to ± this share."""
    tract: float = 0.12
    """Formants alone, as of a longer or shorter vocal tract, up to ± this share."""
    room: float = 0.35
    noise: float = 0.6
    babble: float = 0.25
    """Share of the noisy clips whose noise is other people talking."""
    snr_db: tuple[float, float] = (3.0, 30.0)
    channel: float = 0.4
    codec: float = 0.1
    """Eight bits a sample, logarithmic, as on a telephone line."""
    clip: float = 0.05
    bands: int = 2
    """Bands of frequencies that are hidden (SpecAugment), each up to 13 of the 80 wide."""
    stretches: int = 2
    """Stretches of time that are hidden, each up to a quarter of a second."""


@dataclass(frozen=True, slots=True)
class Said:
    """A clip as it was spoken, with a little silence on both sides."""

    audio: Audio
    start: int
    """First sample of the speech."""
    end: int
    """First sample after it."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A clip as it reaches the microphone."""

    audio: Audio
    noisy: bool
    """Whether a person would say so: noise within `NOISY_DB` of the speech."""


class Augmenter:
    """Applies an `Augmentation`; babble is drawn from the corpora it is given."""

    def __init__(self, options: Augmentation, corpora: list[Corpus]) -> None:
        self.options = options
        self._corpora = corpora
        # made before the processes that make batches part, or each would make its own
        rooms()
        noises()

    def say(self, audio: Audio, rng: np.random.Generator) -> Said:
        """Vary the tempo, and when it begins."""
        audio = change_speed(audio, 1 + rng.uniform(-self.options.speed, self.options.speed))
        before, after = (int(n) for n in rng.integers(0, 8000, 2))
        return Said(np.pad(audio, (before, after)), before, before + len(audio))

    def hear(self, audio: Audio, rng: np.random.Generator) -> Heard:
        """Vary what lies between the mouth and the samples; nothing moves in time."""
        options = self.options
        if rng.random() < options.room:
            audio = reverberate(audio, rooms()[rng.integers(_ROOMS)])
        if rng.random() < options.channel:
            audio = colour(audio, rng)
        snr_db = float(rng.uniform(35, 70))
        if rng.random() < options.noise:
            snr_db = float(rng.uniform(*options.snr_db))
            talk = rng.random() < options.babble
            noise = self._babble(len(audio), rng) if talk else coloured_noise(len(audio), rng)
            audio = mix(audio, noise, snr_db)
        else:
            audio = mix(audio, coloured_noise(len(audio), rng), snr_db)
        if rng.random() < options.clip:
            peak = np.abs(audio).max() * rng.uniform(0.3, 0.8)
            audio = np.clip(audio, -peak, peak)
        if rng.random() < options.codec:
            audio = telephone(audio)
        return Heard(audio, noisy=snr_db < NOISY_DB)

    def _babble(self, length: int, rng: np.random.Generator) -> Audio:
        """Some people who talk at the same time, near and far, half of the time in a room."""
        noise = np.zeros(length, np.float32)
        for _ in range(rng.integers(1, _MOST_TALKERS + 1)):
            corpus = self._corpora[rng.integers(len(self._corpora))]
            clip = corpus.clips[rng.integers(len(corpus.clips))]
            talk = np.resize(corpus.audio(clip).astype(np.float32), length)
            level = 10 ** rng.uniform(-0.5, 0) / (talk.std() + 1e-6)
            noise += np.roll(talk, rng.integers(length)) * np.float32(level)
        return reverberate(noise, rooms()[rng.integers(_ROOMS)]) if rng.random() < 0.5 else noise


def change_speed(audio: Audio, factor: float) -> Audio:
    """Play faster (`factor` > 1) or slower; pitch and formants move along."""
    places = np.arange(0, len(audio) - 1, factor)
    return np.interp(places, np.arange(len(audio)), audio).astype(np.float32)


def telephone(audio: Audio) -> Audio:
    """Samples as eight bits of the mu-law (ITU-T G.711), at the clip's own loudness."""
    peak = float(np.abs(audio).max()) or 1.0
    level = np.log1p(_MU * np.abs(audio) / peak) / np.log1p(_MU)
    level = np.round(level * 127) / 127
    return (np.sign(audio) * peak * np.expm1(level * np.log1p(_MU)) / _MU).astype(np.float32)


def mix(audio: Audio, noise: Audio, snr_db: float) -> Audio:
    """Add noise at a ratio of the whole clips' powers."""
    power = float(np.mean(audio**2)) + 1e-12
    gain = np.sqrt(power / (float(np.mean(noise**2)) + 1e-12) / 10 ** (snr_db / 10))
    return (audio + gain * noise).astype(np.float32)


@cache
def noises() -> list[Audio]:
    """A fixed set of noises, long enough for any clip.

    From white to brown, some with a hum, some that swell and fade, some with things that clatter.
    """
    rng = np.random.default_rng(21)
    length = NOISE_S * SAMPLE_RATE_HZ
    result = []
    for _ in range(_NOISES):
        spectrum = np.fft.rfft(rng.standard_normal(length))
        spectrum *= np.arange(1, len(spectrum) + 1) ** -rng.uniform(0, 1.2)
        noise = np.fft.irfft(spectrum, length)
        noise /= noise.std()
        if rng.random() < 0.2:
            hum_hz = rng.choice([50, 60, 100, 120])
            noise += 2 * np.sin(2 * np.pi * hum_hz * np.arange(length) / SAMPLE_RATE_HZ)
        if rng.random() < 0.4:
            noise *= swell(length, rng)
        if rng.random() < 0.4:
            noise += clatter(length, rng)
        result.append(noise.astype(np.float32))
    return result


def swell(length: int, rng: np.random.Generator) -> Audio:
    """A loudness that wanders, up to ten times a second."""
    knots = np.arange(0, length + SAMPLE_RATE_HZ, SAMPLE_RATE_HZ / rng.uniform(0.5, 10))
    level = rng.normal(0, rng.uniform(0.3, 1.0), len(knots))
    return np.exp(np.interp(np.arange(length), knots, level)).astype(np.float32)


def clatter(length: int, rng: np.random.Generator) -> Audio:
    """Cups, keys and doors: short ringing blows, one to five in a second."""
    noise = np.zeros(length, np.float32)
    size = SAMPLE_RATE_HZ // 4
    time_s = np.arange(size) / SAMPLE_RATE_HZ
    for start in rng.integers(0, length - size, int(length / SAMPLE_RATE_HZ * rng.uniform(1, 5))):
        blow = np.exp(-time_s / rng.uniform(0.005, 0.06)) * rng.uniform(2, 10)
        tones = np.sin(2 * np.pi * rng.uniform(300, 6000, (3, 1)) * time_s).mean(0)
        noise[start : start + size] += blow * (tones + rng.normal(0, 0.3, size))
    return noise


def coloured_noise(length: int, rng: np.random.Generator) -> Audio:
    """A random stretch of one of the `noises`."""
    noise = noises()[rng.integers(_NOISES)]
    start = int(rng.integers(max(1, len(noise) - length)))
    return (
        noise[start : start + length] if start + length <= len(noise) else np.resize(noise, length)
    )


def _fast_size(size: int) -> int:
    """The next length that the transform is quick for: 4 to 8 times a power of two."""
    power = 1 << max(0, size.bit_length() - 3)
    return power * -(-size // power)


def colour(audio: Audio, rng: np.random.Generator) -> Audio:
    """A microphone and its line: a smooth random response and sometimes a narrow band."""
    size = _fast_size(len(audio))
    spectrum = np.fft.rfft(audio, size)
    hz = np.linspace(0, SAMPLE_RATE_HZ / 2, len(spectrum))
    knots = np.array([0, 150, 400, 1000, 2000, 3500, 5500, 8000])
    response_db = np.interp(hz, knots, rng.normal(0, 4, len(knots)))
    if rng.random() < 0.3:
        low, high = rng.uniform(50, 400), rng.uniform(3000, 7000)
        response_db -= 40 * ((hz < low) | (hz > high))
    gain = (10 ** (response_db / 20)).astype(np.float32)
    return np.asarray(np.fft.irfft(spectrum * gain, size)[: len(audio)], np.float32)


def reverberate(audio: Audio, response: Audio) -> Audio:
    """Convolve with a room's impulse response; the length stays."""
    size = _fast_size(len(audio) + len(response) - 1)
    wet = np.fft.irfft(np.fft.rfft(audio, size) * np.fft.rfft(response, size), size)
    return wet[: len(audio)].astype(np.float32)


@cache
def rooms() -> list[Audio]:
    """A fixed set of simulated rooms."""
    rng = np.random.default_rng(20)
    return [
        room_response(
            size_m=rng.uniform((2.5, 2.5, 2.2), (8, 7, 3.2)),
            absorption=float(rng.uniform(0.15, 0.7)),
            rng=rng,
        )
        for _ in range(_ROOMS)
    ]


def room_response(
    size_m: NDArray[np.float64], absorption: float, rng: np.random.Generator
) -> Audio:
    """Impulse response of a box by the image method (Allen and Berkley 1979), 0.3 s long."""
    source, microphone = (rng.uniform(0.15, 0.85, 3) * size_m for _ in range(2))
    order = np.arange(-6, 7)
    cells = np.stack(np.meshgrid(order, order, order), -1).reshape(-1, 3)
    response = np.zeros(int(0.3 * SAMPLE_RATE_HZ), np.float32)
    for mirrored in np.stack(np.meshgrid([0, 1], [0, 1], [0, 1]), -1).reshape(-1, 3):
        images = np.where(mirrored, -source, source) + 2 * cells * size_m
        bounces = np.abs(2 * cells - mirrored).sum(axis=1)
        distance = np.linalg.norm(images - microphone, axis=1)
        delay = (distance / SPEED_OF_SOUND * SAMPLE_RATE_HZ).astype(int)
        gain = np.sqrt(1 - absorption) ** bounces / np.maximum(distance, 0.3)
        near = delay < len(response)
        np.add.at(response, delay[near], gain[near])
    start = int(np.argmax(response > 0))
    response = np.roll(response, -start)
    return response / np.abs(response).max()
