"""People's sentences, cut between words and joined anew, so that none can be learnt by heart.

Three hours of people are few: an encoder soon knows their sentences and no longer listens. What
it spells tells when each word is said; parts of what one person says are then as good as a
sentence that nobody ever said. Source of the idea: Lam et al. 2021 (arXiv 2104.01393).
"""

import itertools
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from engines.chains import NEVER, Chains, in_turn
from engines.features import HOP, log_mel
from engines.nano_encoder import STRIDE
from engines.schedule import Floats
from engines.training import configs
from engines.training.corpus import Clip, Corpus, CorpusError, CorpusWriter
from engines.training.drafts import Draft
from engines.training.encoder import CtcEncoder
from engines.training.preparation import HUMAN, SPLICED, Step
from engines.training.recipe import EncoderStage
from engines.training.runs import read_tokenizer, read_weights, under
from engines.training.saving import load_weights
from engines.training.shipping import LONGEST_S
from engines.training.vocabulary import special_ids

_FRAME = HOP * STRIDE
"""Samples of an encoder frame."""
_QUIET = 160
"""Samples over which loudness is taken when the quietest place is looked for."""
_FADE = 80
"""Samples over which a cut fades, so that it does not click."""
_MOST_PARTS, _MOST_WORDS = 3, 5
_LONGEST = 9 * 16_000
_HEARD = int(LONGEST_S * 16_000)
"""Samples that the encoder can hear at a time."""
_BADLY_SAID = 3.0
"""Log-probability a word's piece may cost on average; a clip beyond it says something else."""

Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Cuts:
    """A clip, and the places between its words."""

    clip: Clip
    words: tuple[str, ...]
    places: tuple[int, ...]
    """In samples from the clip's beginning, one more than words."""


def splice(run: Path, *, clips: int, seed: int) -> Iterator[Step]:
    """Make the corpus `spliced` of a run from its people, by ear of its encoder.

    Raises `RunError` before the encoder has learnt, `CorpusError` where nobody is understood.
    """
    tokenizer, corpus = read_tokenizer(run), Corpus(run / HUMAN)
    model = _speller(run, tokenizer)
    cuts, counts, total = [], Counter[str](), len(corpus.clips)
    for done, clip in enumerate(corpus, 1):
        found = cut(model, corpus, clip, tokenizer)
        counts["unused"] += found is None
        cuts += [found] if found else []
        yield Step("cut", done, total, counts)
    if not cuts:
        hint = f"teach the encoder more: assistant train encoder {run}"
        raise CorpusError(f"{run / HUMAN}: no clip is understood well enough to be cut; {hint}")
    with Draft(run / SPLICED) as draft, CorpusWriter(draft) as writer:
        for done, (audio, text, clip) in enumerate(joined(corpus, cuts, seed), 1):
            writer.add(
                audio, text=text, speaker=clip.speaker, source=clip.source, gender=clip.gender
            )
            yield Step(SPLICED, done, clips, {"clips": done})
            if done == clips:
                break


def _speller(run: Path, tokenizer: Tokenizer) -> CtcEncoder:
    shape = configs.read(EncoderStage, configs.path_of("encoder", run)).shape
    model = CtcEncoder(shape, tokenizer.get_vocab_size(), special_ids(tokenizer)["mask"])
    path = run / "encoder.pt"
    weights = read_weights(path, "encoder")
    for name, part in (("encoder.", model.encoder), ("head.", model.head)):
        load_weights(part, under(name, weights), path)
    return model.eval()


def spans(log_probability: Floats, words: Sequence[Sequence[int]], blank: int) -> list[list[int]]:
    """Begin and end, in frames of [S, V], of each word on the likeliest way through all of them.

    Nothing where they do not fit into the frames, or only badly.
    """
    chains = Chains.of(words)
    trellis = chains.follow(log_probability, blank, in_turn)
    after, found = trellis.frames, []
    loss = -float(trellis.ended(after)[-1]) / len(chains.labels)
    if loss > _BADLY_SAID or loss > -NEVER / 2:
        return []
    for word in reversed(range(len(words))):
        begin, end = trellis.span(word, after)
        found.append([begin, end])
        after = begin
    return found[::-1]


def cut(model: CtcEncoder, corpus: Corpus, clip: Clip, tokenizer: Tokenizer) -> Cuts | None:
    """Find the quietest place between every two words; None where the words are not heard."""
    audio = corpus.audio(clip)
    if len(audio) > _HEARD:
        return None
    features = log_mel(audio.astype(np.float32) / 32768)
    with torch.no_grad():
        spelled, _, lengths = model(
            torch.from_numpy(features)[None], torch.tensor([features.shape[1]])
        )
    words = tuple(clip.text.split())
    pieces = [tokenizer.encode(word, add_special_tokens=False).ids for word in words]
    said = spans(spelled[0, : int(lengths[0])].numpy(), pieces, model.blank)
    if not said:
        return None
    gaps = itertools.pairwise(said)
    inner = [_quietest(audio, end - 1, begin + 1) for (_, end), (begin, _) in gaps]
    places = (0, *inner, len(audio))
    return Cuts(clip, words, places) if list(places) == sorted(set(places)) else None


def _quietest(audio: Samples, begin: int, end: int) -> int:
    """The sample with the least sound around it, from the middle of one frame to that of another.

    A piece is spelled in the middle of its sound, so the border lies between.
    """
    first, last = begin * _FRAME + _FRAME // 2, end * _FRAME - _FRAME // 2
    power = audio[first : last + _QUIET].astype(np.float32) ** 2
    loudness = np.convolve(power, np.ones(_QUIET, np.float32), "valid")
    return first + int(loudness.argmin()) + _QUIET // 2


def joined(corpus: Corpus, cuts: Sequence[Cuts], seed: int) -> Iterator[tuple[Samples, str, Clip]]:
    """Clips without end, each of some parts of what one person says, and a clip of that person."""
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    by_speaker: dict[str, list[Cuts]] = {}
    for each in cuts:
        by_speaker.setdefault(each.clip.speaker, []).append(each)
    while True:
        own = by_speaker[rng.choice(cuts).clip.speaker]
        words: list[str] = []
        parts: list[Samples] = []
        for _ in range(rng.randint(1, _MOST_PARTS)):
            source = rng.choice(own)
            count = rng.randint(1, min(_MOST_WORDS, len(source.words)))
            first = rng.randint(0, len(source.words) - count)
            part = corpus.audio(source.clip)[source.places[first] : source.places[first + count]]
            if parts and sum(map(len, parts)) + len(part) > _LONGEST:
                break
            parts.append(_faded(part))
            words += source.words[first : first + count]
        yield np.concatenate(parts), " ".join(words), own[0].clip


def _faded(part: Samples) -> Samples:
    ramp = np.ones(len(part), np.float32)
    rise = np.linspace(0, 1, min(_FADE, len(part) // 2), dtype=np.float32)
    ramp[: len(rise)] = rise
    ramp[len(ramp) - len(rise) :] = rise[::-1]
    return (part * ramp).astype(np.int16)
