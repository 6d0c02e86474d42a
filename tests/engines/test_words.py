"""Reading a spelling in words is held against a search of every sentence by itself."""

import itertools

import numpy as np
import pytest

from engines import words as reading
from engines.chains import doubting
from engines.training.counting import NothingToCountError, count_words
from engines.words import COST, LEAST_HEARD, SILENCE_COST, WEIGHT, Reader, WordModel, WordsError
from tests.engines.support import alignment

BLANK = 0
SPELLING = {"a": (1,), "b": (2, 3), "c": (4, 4), "d": (5,)}
SIZE = 6
SAID = [("a b", 6), ("a d", 5), ("c a", 4), ("d", 9), ("b c d", 4)]


def model():
    return count_words(SAID)


def reader():
    return Reader(model(), SPELLING.__getitem__)


def chance(known, sentence):
    """Log-probability of a sentence by its words."""
    size = len(known.words)
    number = [size, *(known.words.index(word) for word in sentence), size]
    pairs = {(b, a): p for b, a, p in zip(known.before, known.after, known.pairs, strict=True)}
    return sum(
        pairs.get((left, right), known.backoff[left] + known.alone[right])
        for left, right in itertools.pairwise(number)
    )


@pytest.mark.parametrize("seed", range(40))
def test_the_likeliest_sentence_of_all_is_found(seed):
    rng = np.random.default_rng(seed)
    frames = np.log(rng.dirichlet(np.full(SIZE, 0.25), rng.integers(1, 5)) + 1e-4)
    doubted = doubting(frames, BLANK, SILENCE_COST)
    known, totals = model(), {}
    for length in range(1, len(frames) + 1):
        for sentence in itertools.product(known.words, repeat=length):
            pieces = [piece for word in sentence for piece in SPELLING[word]]
            # pieces that meet between words are not held apart, so neither are they here
            if all(p != q for p, q in itertools.pairwise(pieces)) or length == 1:
                price = WEIGHT * chance(known, sentence) - COST * length
                totals[sentence] = alignment(frames, pieces), alignment(doubted, pieces) + price
    found = reader().read(frames.astype(np.float32), BLANK)
    best = max(totals, key=lambda each: totals[each][1])
    silence = doubted[:, BLANK].sum()
    over = totals[best][0] - frames[:, BLANK].sum()
    pieces = sum(len(SPELLING[word]) for word in best)
    if totals[best][1] <= silence or over < LEAST_HEARD * pieces:
        assert found is None or totals[tuple(found.text.split())][1] == pytest.approx(silence)
        return
    assert found is not None
    heard = tuple(found.text.split())
    if heard in totals:
        assert totals[heard][1] == pytest.approx(totals[best][1], abs=2e-2)
        assert found.total == pytest.approx(totals[heard][0], abs=2e-2)


def test_what_words_follow_each_other_decides_between_two_that_sound_alike():
    frames = np.full((4, SIZE), np.log(0.01), np.float32)
    frames[0, 1] = frames[1, BLANK] = np.log(0.9)
    frames[2, [2, 5]] = np.log([0.45, 0.46])
    frames[3, BLANK] = np.log(0.9)
    frames[3, 3] = np.log(0.9) - SILENCE_COST  # then it counts as much as silence
    likely = Reader(count_words([("a b", 90), ("a d", 4), ("d", 9)]), SPELLING.__getitem__)
    assert likely.read(frames, BLANK).text == "a b"
    other = Reader(count_words([("a b", 4), ("a d", 90), ("d", 9)]), SPELLING.__getitem__)
    assert other.read(frames, BLANK).text == "a d"


def test_silence_says_nothing():
    frames = np.full((6, SIZE), np.log(0.001), np.float32)
    frames[:, BLANK] = np.log(0.995)
    assert reader().read(frames, BLANK) is None
    assert reader().read(frames[:0], BLANK) is None


def test_only_words_that_may_be_in_the_sound_are_searched(monkeypatch):
    monkeypatch.setattr(reading, "SHORTLIST", 2)
    frames = np.full((3, SIZE), np.log(0.01), np.float32)
    frames[[0, 1, 2], [1, BLANK, 5]] = np.log(0.9)
    assert reader().read(frames, BLANK).text == "a d"


def test_the_probabilities_after_every_word_add_up_to_one():
    known = count_words(SAID, least_pair=0)
    size = len(known.words)
    for before in range(size + 1):
        chances = np.exp(known.backoff[before] + known.alone)
        of = known.before == before
        chances[known.after[of]] = np.exp(known.pairs[of])
        assert chances.sum() == pytest.approx(1.0, abs=0.02), before


def test_rare_words_are_left_out_and_nothing_is_refused():
    said = [*SAID, ("zebra a", 1)]
    assert count_words(said, least_word=4).words == ("a", "b", "c", "d")
    assert "zebra" in count_words(said).words
    with pytest.raises(NothingToCountError):
        count_words([])


def test_a_file_of_words_comes_back(tmp_path):
    known = model()
    known.write(tmp_path / "words.npz")
    again = WordModel.read(tmp_path / "words.npz")
    assert again.words == known.words
    assert (again.before == known.before).all()
    assert (again.after == known.after).all()
    assert again.pairs == pytest.approx(known.pairs, abs=1e-2)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        ({"after": [9, 9]}, "words that are not there"),
        ({"pairs": [0.0]}, "do not fit"),
        ({"alone": [0.0, np.nan, 0.0]}, "finite"),
        ({"after": [1, 0]}, "order"),
        ({"format": 7}, "format"),
    ],
)
def test_a_damaged_file_of_words_is_refused_in_one_line(tmp_path, spoil, says):
    arrays = {
        "format": 1,
        "words": np.frombuffer(b"a\nb", np.uint8),
        "alone": [0.0, 0.0, 0.0],
        "backoff": [0.0, 0.0, 0.0],
        "before": [0, 1],
        "after": [0, 1],
        "pairs": [0.0, 0.0],
    }
    np.savez(tmp_path / "words.npz", **{k: np.array(v) for k, v in (arrays | spoil).items()})
    with pytest.raises(WordsError, match=says):
        WordModel.read(tmp_path / "words.npz")
    whole = bytearray((tmp_path / "words.npz").read_bytes())
    whole[8] ^= 0x5A  # an unknown way of compressing
    (tmp_path / "odd.npz").write_bytes(whole)
    with pytest.raises(WordsError, match=r"odd\.npz"):
        WordModel.read(tmp_path / "odd.npz")
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04 no more")
    with pytest.raises(WordsError, match=r"torn\.npz"):
        WordModel.read(tmp_path / "torn.npz")
