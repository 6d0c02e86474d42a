"""Counts which word follows which: the words that a spelling is read in (`engines.words`)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from heapq import nlargest
from pathlib import Path

import numpy as np

from engines.training.corpus import Corpus, CorpusError
from engines.training.preparation import HUMAN, WRITTEN
from engines.training.runs import RunError, read_pairs
from engines.words import WordModel

DISCOUNT = 0.75
"""Taken off every count, for the pairs that were never seen (Ney, Essen and Kneser 1994)."""
MOST_WORDS = 60_000
HUMAN_TIMES = 40.0
"""How often a sentence that a person read counts: there are few, and people speak like that."""


class NothingToCountError(RunError):
    """There are no sentences, or no word in them is frequent enough."""


def count_run(run: Path) -> WordModel:
    """A model of all that a run reads and hears people say; raises `RunError` without it."""
    counts = {pair.text: 1.0 for pair in read_pairs(run)}
    if (run / WRITTEN).is_file():
        counts |= dict.fromkeys((run / WRITTEN).read_text("utf-8").splitlines(), 1.0)
    with suppress(CorpusError):
        for clip in Corpus(run / HUMAN):
            counts[clip.text] = counts.get(clip.text, 0.0) + HUMAN_TIMES
    return count_words(counts.items())


def count_words(
    sentences: Iterable[tuple[str, float]], *, least_word: float = 1.0, least_pair: float = 2.0
) -> WordModel:
    """A model of sentences, each as said and with how often it counts.

    Words that are said once are worth having: with those of four times and more 5.3 in 100 words of
    synthetic voices are wrong, with all of them 5.0. Words that count less than `least_word` are
    left out, and pairs below `least_pair` but for those at an end of a sentence.
    """
    single: dict[str, float] = defaultdict(float)
    pairs: dict[tuple[str, str], float] = defaultdict(float)
    for text, times in sentences:
        words = text.split()
        for word in words:
            single[word] += times
        for pair in zip(["", *words], [*words, ""], strict=True):
            pairs[pair] += times
    frequent = [word for word, times in single.items() if times >= least_word]
    chosen = nlargest(MOST_WORDS, frequent, key=single.__getitem__)
    if not chosen:
        raise NothingToCountError("no sentences to count words in")
    return _smoothed(sorted(chosen), pairs, least_pair)


def _smoothed(
    words: list[str], counted: Mapping[tuple[str, str], float], least_pair: float
) -> WordModel:
    edge = len(words)
    number = {word: index for index, word in enumerate(words)} | {"": edge}
    known = {
        (number[left], number[right]): times
        for (left, right), times in counted.items()
        if left in number and right in number and (left or right)
    }
    before, after = np.array(list(known)).T
    times = np.array(list(known.values()))
    # a word is as probable by itself as it follows many different words (Kneser and Ney 1995)
    kinds = np.bincount(after, minlength=edge + 1) + 0.5
    alone = np.log(kinds / kinds.sum())
    said = np.bincount(before, times, edge + 1)
    saved = np.minimum(times, DISCOUNT)
    left = np.bincount(before, saved, edge + 1)
    share = np.divide(left, said, out=np.ones(edge + 1), where=said > 0)
    chance = (times - saved) / said[before] + share[before] * np.exp(alone[after])
    keep = (times >= least_pair) | (before == edge) | (after == edge)
    order = np.lexsort((before[keep], after[keep]))
    return WordModel(
        words=tuple(words),
        alone=alone.astype(np.float32),
        backoff=np.log(share).astype(np.float32),
        before=before[keep][order],
        after=after[keep][order],
        pairs=np.log(chance[keep][order]).astype(np.float32),
    )
