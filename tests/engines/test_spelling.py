"""What a sound spells, and how an engine reads it."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from assistant.understanding import NANO
from engines.checkpoints import Checkpoint, CheckpointError
from engines.diffa import Engine, Prefix
from engines.known import in_pieces
from engines.spelling import pieces_of

BLANK = 0


def frames(*pieces, size=8, surety=0.9):
    """Frames that say just these pieces."""
    result = np.full((len(pieces), size), np.log((1 - surety) / (size - 1)), np.float32)
    result[range(len(pieces)), pieces] = np.log(surety)
    return result


def test_repeats_and_blanks_are_dropped():
    assert pieces_of(frames(0, 3, 3, 0, 3, 5, 5, 0), BLANK) == [3, 3, 5]


@pytest.fixture(scope="module")
def wordless(tmp_path_factory):
    """Nano without its words."""
    folder = tmp_path_factory.mktemp("wordless") / "nano"
    shutil.copytree(NANO, folder, ignore=shutil.ignore_patterns("words.npz"))
    return folder


def spelled(engine, text):
    """The prefix of a sound that spells `text`."""
    tokenizer = engine.checkpoint.tokenizer
    blank = engine.checkpoint.manifest.lm.mask_token_id
    pieces = [each for piece in tokenizer.encode(text).ids for each in (piece, blank)]
    spelling = frames(*pieces, size=tokenizer.get_vocab_size(), surety=0.95)
    return Prefix(np.zeros((1, 4), np.float32), 1.0, spelling)


def test_a_spelling_is_read_in_words_that_are_known_to_go_together(wordless):
    engine = Engine.load(NANO, threads=1)
    assert engine.spells
    reading = engine.read(spelled(engine, "set a timer"))
    assert reading.text == "set a timer"
    assert reading.loss == pytest.approx(0.0, abs=1e-4)
    man, can = (spelled(engine, f"what {word} you do") for word in ("man", "can"))
    both = np.logaddexp(np.log(0.6) + man.spelling, np.log(0.4) + can.spelling)
    unsure = replace(man, spelling=both.astype(np.float32))
    assert engine.read(unsure).text == "what can you do"
    assert engine.read(unsure).loss > 0
    assert Engine.load(wordless, threads=1).read(unsure).text == "what man you do"


def test_without_a_spelling_there_is_nothing_to_read():
    engine = Engine.load(NANO, threads=1)
    assert engine.read(Prefix(np.zeros((1, 4), np.float32), 1.0)) is None


def test_damaged_words_are_refused_by_name(wordless):
    (wordless / "words.npz").write_bytes(b"torn")
    with pytest.raises(CheckpointError, match=r"words\.npz"):
        Engine.load(wordless, threads=1)
    (wordless / "words.npz").unlink()


def test_many_words_are_spelled_at_once_as_they_are_one_by_one():
    checkpoint = Checkpoint.open(NANO)
    words = ("kitchen", "o'clock", "kitchen", "x", "zyzzyva", "é")
    encode = in_pieces(checkpoint, words)
    for word in (*words, "elsewhere"):
        assert [*encode(word)] == checkpoint.tokenizer.encode(word, add_special_tokens=False).ids
