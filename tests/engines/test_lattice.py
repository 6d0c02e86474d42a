"""The lattice search is held against a search of every sentence by itself."""

import itertools

import numpy as np
import pytest

from engines.chains import WILD_COST
from engines.lattice import SILENCE_COST, UNSAID_LOSS, LatticeBuilder, Span
from tests.engines.support import alignment

BLANK = 0
SPELLING = {"a": (1,), "b": (2, 3), "c": (4, 4), "d": (5,)}
SIZE = 6


def spell(*pieces):
    """Frames that say just these pieces, rather surely."""
    frames = np.full((len(pieces), SIZE), np.log(0.01), np.float32)
    frames[range(len(pieces)), pieces] = np.log(0.95)
    return frames


def lattice():
    """[a|b] (c|d) [a]."""
    builder = LatticeBuilder(SPELLING.__getitem__)
    first, second, third, last = (builder.state() for _ in range(4))
    builder.start(first)
    builder.word(first, second, "a")
    builder.word(first, second, "b")
    builder.skip(first, second)
    builder.word(second, third, "c")
    builder.word(second, third, "d")
    builder.skip(third, last)
    builder.word(third, last, "a")
    builder.accept(last, owner=7)
    return builder.build()


@pytest.mark.parametrize("seed", range(60))
def test_the_best_sentence_of_all_is_found_with_its_score(seed):
    rng = np.random.default_rng(seed)
    frames = np.log(rng.dirichlet(np.full(SIZE, 0.3), rng.integers(1, 9)) + 1e-6)
    doubted = frames.copy()
    doubted[:, BLANK] -= SILENCE_COST
    ways = itertools.product((None, "a", "b"), ("c", "d"), (None, "a"))
    spelled = {words: [p for word in words for p in SPELLING[word]] for words in map(said, ways)}
    scores = {words: alignment(doubted, pieces) for words, pieces in spelled.items()}
    paths = lattice().search(frames.astype(np.float32), BLANK, 3)
    best = max(scores.values())
    if best == -np.inf:
        assert not paths
        return
    (path,) = paths
    assert path.owner == 7
    assert scores[path.words] == pytest.approx(best, abs=1e-3)
    assert path.total == pytest.approx(alignment(frames, spelled[path.words]), abs=1e-3)
    assert path.pieces == len(spelled[path.words])


def said(way):
    return tuple(word for word in way if word)


def test_a_word_that_is_hardly_heard_is_not_left_out():
    builder = LatticeBuilder(SPELLING.__getitem__)
    first, second, last = (builder.state() for _ in range(3))
    builder.start(first)
    builder.word(first, second, "d")
    builder.skip(first, second)
    builder.word(second, last, "a")
    builder.accept(last, owner=0)
    whole = builder.build()
    frames = spell(0, 0, 1)
    frames[0, SPELLING["d"]] = np.log(0.04)  # four times what the ear thinks of any other piece
    (path,) = whole.search(frames, BLANK, 1)
    assert path.words == ("d", "a")
    assert path.loss > 1  # and yet it is no good fit
    frames[0, SPELLING["d"]] = np.log(0.001)
    (path,) = whole.search(frames, BLANK, 1)
    assert path.words == ("a",)


def test_each_owner_gives_its_best_sentence_best_first():
    builder = LatticeBuilder(SPELLING.__getitem__)
    start = builder.state()
    builder.start(start)
    for owner, words in enumerate((("d",), ("a", "c"), ("b",))):
        end = builder.state()
        for word in words:
            builder.word(start, end, word)
        builder.accept(end, owner)
    paths = builder.build().search(spell(0, 1, 0), BLANK, 2)
    assert [path.words for path in paths] == [("a",), ("d",)]
    assert [path.owner for path in paths] == [1, 0]


def test_free_text_takes_whatever_stands_between_two_words():
    builder = LatticeBuilder(SPELLING.__getitem__)
    states = [builder.state() for _ in range(4)]
    builder.start(states[0])
    builder.word(states[0], states[1], "a")
    builder.anything(states[1], states[2])
    builder.word(states[2], states[3], "d")
    builder.accept(states[3], owner=0)
    frames = spell(1, 0, 2, 3, 0, 5)
    (path,) = builder.build().search(frames, BLANK, 1)
    before, free, after = path.words
    assert (before, after) == ("a", "d")
    assert isinstance(free, Span)
    assert {2, 3} <= set(range(free.begin, free.end)) <= {1, 2, 3, 4}
    cost = (free.end - free.begin) * WILD_COST
    assert path.total == pytest.approx(frames.max(1).sum() - cost, abs=1e-4)


def test_too_few_frames_for_any_sentence_find_none():
    assert lattice().search(spell(1)[:0], BLANK, 1) == []
    builder = LatticeBuilder(SPELLING.__getitem__)
    start, end = builder.state(), builder.state()
    builder.start(start)
    builder.word(start, end, "b")
    builder.accept(end, owner=0)
    assert builder.build().search(spell(2), BLANK, 1) == []


def test_words_that_are_nowhere_in_the_sound_can_be_left_out():
    builder = LatticeBuilder(SPELLING.__getitem__)
    states = [builder.state() for _ in range(3)]
    builder.start(states[0])
    for word in "abcd":
        builder.word(states[0], states[1], word)
        builder.word(states[1], states[2], word)
    builder.accept(states[2], owner=3)
    whole, frames = builder.build(), spell(1, 0, 5, 0)
    frames[:, 4] = -50.0
    fewer = whole.audible(frames)
    assert set(whole.words) == set("abcd")
    assert set(fewer.words) == set("abd")
    assert fewer.search(frames, BLANK, 1) == whole.search(frames, BLANK, 1)
    nothing = np.full((3, SIZE), -50.0, np.float32)
    nothing[:, BLANK] = 0.0
    assert whole.audible(nothing).search(nothing, BLANK, 1) == []


def test_what_a_sentence_leaves_unsaid_counts_against_it():
    builder = LatticeBuilder(SPELLING.__getitem__)
    start, end = builder.state(), builder.state()
    builder.start(start)
    builder.word(start, end, "a")
    builder.accept(end, owner=0)
    (short,) = builder.build().search(spell(1), BLANK, 1)
    assert short.loss == pytest.approx(0.0, abs=1e-5)
    frames = spell(1, 0, 5)
    (path,) = builder.build().search(frames, BLANK, 1)
    assert path.loss == pytest.approx(frames.max(1).sum() - path.total + UNSAID_LOSS / 2, abs=1e-4)


def test_a_lattice_without_sentences_finds_none():
    assert LatticeBuilder(SPELLING.__getitem__).build().search(spell(1, 2), BLANK, 1) == []
