"""A transcript is held against the sound's own spelling."""

import numpy as np
import pytest

from assistant.understanding import NANO
from engines.diffa import MADE_UP, Engine, Prefix
from engines.spelling import misfit, pieces_of

BLANK = 0


def frames(*pieces, size=8, surety=0.9):
    """Frames that say just these pieces."""
    result = np.full((len(pieces), size), np.log((1 - surety) / (size - 1)), np.float32)
    result[range(len(pieces)), pieces] = np.log(surety)
    return result


def test_repeats_and_blanks_are_dropped():
    assert pieces_of(frames(0, 3, 3, 0, 3, 5, 5, 0), BLANK) == [3, 3, 5]


def test_what_is_spelled_fits_and_what_is_not_does_not():
    said = frames(0, 3, 0, 5, 0)
    assert misfit(said, BLANK, [3, 5]) == pytest.approx(0.0, abs=1e-5)
    assert misfit(said, BLANK, [3, 6]) == pytest.approx(np.log(0.9 / 0.1 * 7) / 2, abs=1e-3)
    assert misfit(said, BLANK, [1, 2, 3, 4, 5, 6]) == float("inf")


def test_fluent_words_that_nobody_said_give_way_to_the_spelling():
    engine = Engine.load(NANO, threads=1)
    tokenizer = engine.checkpoint.tokenizer
    blank = engine.checkpoint.manifest.lm.mask_token_id
    pieces = [each for piece in tokenizer.encode("set a timer").ids for each in (piece, blank)]
    spelling = frames(*pieces, size=tokenizer.get_vocab_size(), surety=0.95)
    prefix = Prefix(np.zeros((1, 4), np.float32), 1.0, spelling)
    assert engine.borne_out("set a timer", prefix) == "set a timer"
    assert misfit(spelling, blank, tokenizer.encode("send a taxi").ids) > MADE_UP
    assert engine.borne_out("send a taxi", prefix) == "set a timer"
    assert engine.borne_out("", prefix) == ""
    silent = Prefix(np.zeros((1, 4), np.float32), 1.0)
    assert engine.borne_out("send a taxi", silent) == "send a taxi"
