"""Batches of clips of like length, drawn from the seed and the step number alone."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from engines.features import HOP, log_mel
from engines.nano_encoder import STRIDE
from engines.training.augment import Augmentation, Augmenter
from engines.training.corpus import Clip, Corpus
from engines.training.sounds import Sounds, sounds_of

_WARPS = 8
"""Steps of vocal tract length on either side, so that few filter banks are made."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """Which corpora are heard how often."""

    corpora: list[Corpus]
    weights: list[float]
    """Share of the batches that each corpus gives."""
    batch_s: float = 64.0
    """Seconds of audio in one batch, about, counted once for each hearing."""
    hearings: int = 1
    """How often each clip of a batch is heard, each time through another room and channel."""
    short_until: int = 0
    """Up to this step only clips of `short_s` and less are heard: words come sooner."""
    short_s: float = 2.2
    longest_s: float = 16.0
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)

    def words(self) -> set[str]:
        """Every word that is said."""
        return {word for corpus in self.corpora for clip in corpus for word in clip.text.split()}


class SpeechBatches:
    """Features, lengths and the clips they come from."""

    def __init__(
        self, mixture: Mixture, tokenizer: Tokenizer, sounds: Sounds | None = None
    ) -> None:
        self.mixture = mixture
        self.tokenizer = tokenizer
        self.sounds = sounds
        self._augment = Augmenter(mixture.augmentation, mixture.corpora)
        self._sorted = [
            sorted((c for c in corpus if c.samples <= mixture.longest_s * 16_000), key=_length)
            for corpus in mixture.corpora
        ]

    def batch(self, step: int) -> dict[str, Any]:
        """`features` [B, 80, T], `lengths` [B], `targets` (concatenated ids), their sizes [B].

        `guess` [B, T / 8] is the piece said in each encoder frame if every letter took the same
        time, -100 where nobody speaks. Phonemes, where they are known, are `sounds` (concatenated)
        and `sound_lengths` [B].
        """
        rng = np.random.default_rng((self.mixture.seed, step))
        clips = self.draw(step, rng)
        batch = self.hear(clips, rng)
        said = [self.tokenizer.encode(clip.text).ids for _, clip in clips]
        targets = said * self.mixture.hearings
        batch["targets"] = torch.tensor([token for ids in targets for token in ids])
        batch["target_lengths"] = torch.tensor([len(ids) for ids in targets])
        batch["guess"] = self._guess(targets, batch)
        if self.sounds is not None:
            heard = [sounds_of(clip.text, self.sounds) for _, clip in clips]
            heard *= self.mixture.hearings
            batch["sounds"] = torch.tensor([number for each in heard for number in each])
            batch["sound_lengths"] = torch.tensor([len(each) for each in heard])
        return batch

    def _guess(self, targets: list[list[int]], batch: dict[str, Any]) -> torch.Tensor:
        frames = -(-batch["features"].shape[2] // STRIDE)
        guess = np.full((len(targets), frames), -100)
        for row, ids, (start, end) in zip(guess, targets, batch["spans"], strict=True):
            letters = np.array([len(self.tokenizer.id_to_token(token) or "") for token in ids])
            ends = start + (end - start) * np.cumsum(letters) / letters.sum()
            first, last = int(start), min(frames, int(np.ceil(end)))
            middles = np.arange(first, last) + 0.5
            row[first:last] = np.array(ids)[
                np.minimum(np.searchsorted(ends, middles), len(ids) - 1)
            ]
        return torch.from_numpy(guess)

    def draw(self, step: int, rng: np.random.Generator) -> list[tuple[Corpus, Clip]]:
        """Clips of like length that fill one batch."""
        mixture = self.mixture
        which = rng.choice(len(mixture.corpora), p=np.array(mixture.weights) / sum(mixture.weights))
        clips = self._sorted[which]
        if step < mixture.short_until:
            clips = [c for c in clips if c.samples <= mixture.short_s * 16_000] or clips
        centre = clips[rng.integers(len(clips))].samples + 8000
        count = max(1, int(mixture.batch_s * 16_000 / mixture.hearings / centre))
        place = int(np.searchsorted([c.samples for c in clips], centre - 8000))
        window = clips[max(0, place - 2 * count) : place + 2 * count + 1]
        chosen = rng.choice(len(window), size=min(count, len(window)), replace=False)
        return [(mixture.corpora[which], window[i]) for i in chosen]

    def hear(self, clips: list[tuple[Corpus, Clip]], rng: np.random.Generator) -> dict[str, Any]:
        """Augmented features of some clips, all of them once for each hearing."""
        said = []
        for corpus, clip in clips:
            audio = np.float32(1 / 32768) * corpus.audio(clip).astype(np.float32)
            said.append(self._augment.say(audio, rng))
        said *= self.mixture.hearings
        heard = [self._augment.hear(each.audio, rng) for each in said]
        features = [self._see(each.audio, rng) for each in heard]
        lengths = [each.shape[1] for each in features]
        padded = np.zeros((len(features), features[0].shape[0], max(lengths)), np.float32)
        for row, each in zip(padded, features, strict=True):
            row[:, : each.shape[1]] = each
        return {
            "features": torch.from_numpy(padded),
            "lengths": torch.tensor(lengths),
            "seconds": sum(lengths) / 100,
            "spans": [(each.start / (HOP * STRIDE), each.end / (HOP * STRIDE)) for each in said],
            "noisy": [each.noisy for each in heard],
        }

    def _see(self, audio: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        options = self.mixture.augmentation
        step = int(rng.integers(-_WARPS, _WARPS + 1))
        features = log_mel(audio, warp=1 + options.tract * step / _WARPS)
        return mask_features(features, rng, bands=options.bands, stretches=options.stretches)


def _length(clip: Clip) -> int:
    return clip.samples


def mask_features(
    features: NDArray[np.float32], rng: np.random.Generator, *, bands: int, stretches: int
) -> NDArray[np.float32]:
    """SpecAugment (Park et al. 2019): some bands and stretches are hidden."""
    features = features.copy()
    mels, frames = features.shape
    quiet = features.min()
    for _ in range(bands):
        width = rng.integers(0, 14)
        low = rng.integers(0, mels - width)
        features[low : low + width] = quiet
    for _ in range(stretches):
        width = rng.integers(0, max(2, min(25, frames // 12)))
        start = rng.integers(0, frames - width)
        features[:, start : start + width] = quiet
    return features
