"""Questions known by heart are found in a sound and in words."""

import json

import numpy as np
import pytest

from engines.stock import Questions, Stock, StockError
from engines.training.families import load
from engines.training.stocking import stock

BLANK = 0
WORDS = ("please", "who", "what", "is", "this", "that", "hello")
PIECES = {word: (number + 1,) for number, word in enumerate(WORDS)}
CORPUS = """
kind = "fact"
frames = ["please {text}", "{text} please", "{text}"]
[thing]
texts = ["(who|what) is {name}"]
answer = "It is {name}, {nature}."
columns = ["name", "nature"]
rows = \"\"\"
this | a lamp
that | a tree
\"\"\"
[greeting]
texts = ["hello"]
answer = "hello."
"""


@pytest.fixture
def questions(tmp_path):
    (tmp_path / "facts.toml").write_text(CORPUS)
    return stock(load(tmp_path))


@pytest.fixture
def known(questions):
    return Stock(questions, PIECES.__getitem__)


def spell(text):
    """Frames that say just these words, with a blank after each."""
    pieces = [piece for word in text.split() for piece in (*PIECES[word], BLANK)]
    frames = np.full((len(pieces), len(WORDS) + 1), np.log(0.01), np.float32)
    frames[range(len(pieces)), pieces] = np.log(0.92)
    return frames


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("who is this", "It is this, a lamp."),
        ("what is that", "It is that, a tree."),
        ("please what is that please", "It is that, a tree."),
        ("hello please", "Hello."),
        ("who is", ""),
        ("who is this that", ""),
        ("is this", ""),
        ("please", ""),
        ("", ""),
    ],
)
def test_every_wording_of_a_question_has_its_answer(known, said, answer):
    assert known.answer(said) == answer
    if answer:
        recalled = known.recall(spell(said), BLANK)
        assert (recalled.question, recalled.answer) == (said, answer)
        assert recalled.loss == pytest.approx(0.0, abs=1e-4)


def test_a_question_is_known_though_a_word_was_heard_wrong(known):
    frames = spell("who hello that")
    frames[2, PIECES["is"][0]] = np.log(0.03)
    recalled = known.recall(frames, BLANK)
    assert recalled.question == "who is that"
    assert 0 < recalled.loss < np.log(92 / 3) + 0.1


def test_what_fits_no_question_recalls_none(known):
    assert known.recall(spell("who")[:1], BLANK).question == "hello"
    assert known.recall(spell("who")[:0], BLANK) is None


def test_a_file_of_questions_comes_back(questions, tmp_path):
    questions.write(tmp_path / "stock.json")
    again = Questions.read(tmp_path / "stock.json")
    assert (again.arcs, again.ends, again.answers) == (
        questions.arcs,
        questions.ends,
        questions.answers,
    )


@pytest.mark.parametrize(
    "spoil",
    [
        {"format": 2},
        {"arcs": [[0, "a"]]},
        {"arcs": [[0, 7, 1]]},
        {"arcs": [[-1, "a", 1]]},
        {"ends": [[1, 5]]},
        {"answers": [None]},
        {"arcs": None},
    ],
)
def test_a_damaged_file_of_questions_is_refused_in_one_line(tmp_path, spoil):
    table = {"format": 1, "arcs": [[0, "a", 1]], "ends": [[1, 0]], "answers": ["yes"]}
    path = tmp_path / "stock.json"
    path.write_text(json.dumps(table))
    assert Questions.read(path).answers == ["yes"]
    path.write_text(json.dumps(table | spoil))
    with pytest.raises(StockError, match=r"stock\.json"):
        Questions.read(path)


def test_words_are_not_questions(tmp_path):
    (tmp_path / "stock.json").write_text("not json")
    with pytest.raises(StockError, match=r"stock\.json"):
        Questions.read(tmp_path / "stock.json")


def test_an_answer_shared_by_neighbours_is_kept_once(questions):
    assert questions.answers == ["It is this, a lamp.", "It is that, a tree.", "Hello."]
