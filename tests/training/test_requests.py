# ruff: noqa: S311 - seeds make tests repeatable
import random
from collections import Counter
from pathlib import Path

import pytest

from engines.training.families import MAX_ANSWER_CHARACTERS, RequestsError
from engines.training.requests import (
    KINDS,
    acceptable,
    evaluation,
    held_out,
    load,
    recognise,
    reserved,
    sample,
)
from engines.training.text import spoken
from engines.training.wordings import WordingError, draw, expand, matches, parse, required_slots

GOOD = 'kind = "fact"\n[slots]\ncolor = ["red", "1..3"]\n'


def corpus(folder: Path, text: str) -> Path:
    (folder / "family.toml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def drawn():
    rng = random.Random(5)
    return [sample(rng) for _ in range(4000)]


def test_corpus_is_as_large_as_promised():
    families = load()
    facts = sum(len(family.rows) for family in families if family.kind == "fact")
    kinds = Counter(family.kind for family in families)
    assert facts >= 500
    assert kinds["small_talk"] >= 150
    assert kinds["refusal"] >= 80
    assert set(kinds) == set(KINDS)


def test_each_small_talk_family_has_several_wordings():
    few = [f.name for f in load() if f.kind == "small_talk" and len(list(f.texts(50))) < 4]
    assert few == []


def test_every_request_is_speakable_and_its_own_answer_is_acceptable():
    rng = random.Random(1)
    for family in load():
        for _ in range(3):
            request = family.draw(rng)
            assert request.text == spoken(request.text) != ""
            assert 0 < len(request.answer) <= MAX_ANSWER_CHARACTERS
            assert request.answer[0] == request.answer[0].upper()
            assert acceptable(request.answer, request.accepted), request


def test_held_out_texts_are_never_drawn_for_training(drawn):
    assert not [request.text for request in drawn if held_out(request.text)]


def test_about_three_percent_of_texts_are_held_out():
    texts = {text for family in load() for text in family.texts(20)}
    share = sum(map(held_out, texts)) / len(texts)
    assert 0.02 < share < 0.05


def test_the_same_seed_draws_the_same_requests(drawn):
    rng = random.Random(5)
    assert [sample(rng) for _ in range(50)] == drawn[:50]


def test_every_kind_is_drawn_in_about_its_share(drawn):
    kinds = Counter(request.kind for request in drawn)
    assert all(abs(kinds[kind] / len(drawn) - share) < 0.05 for kind, share in KINDS.items())


def test_every_reserved_sentence_has_an_answer():
    answered = {request.text for request in recognise(reserved())}
    assert set(reserved()) - answered == set()


def test_evaluation_gives_distinct_held_out_requests_of_all_kinds():
    requests = evaluation(150, seed=3)
    assert len({request.text for request in requests}) == 150
    assert all(held_out(request.text) for request in requests)
    assert {request.kind for request in requests} == set(KINDS)
    assert requests == evaluation(150, seed=3)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("what is the capital of france", "The capital of France is Paris."),
        ("what is seven times eight", "Seven times eight is 56."),
        ("set a timer for five minutes", "Okay, five minutes, starting now."),
        ("order me a large pizza please", "I can't order food, sorry."),
    ],
)
def test_known_requests_are_recognised_with_their_answers(text, answer):
    assert [request.answer for request in recognise([text])] == [answer]


@pytest.mark.parametrize(
    ("answer", "right"),
    [("It is Paris.", True), ("Paris!", True), ("It is Parisian.", False), ("London.", False)],
)
def test_an_answer_is_acceptable_when_it_holds_an_accepted_word(answer, right):
    assert acceptable(answer, ("paris",)) is right


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GOOD + '[f]\ntexts = ["a {size}"]\nanswer = "B."', "unknown slot {size}"),
        (GOOD + '[f]\ntexts = ["a (b"]\nanswer = "B."', "unbalanced '('"),
        (GOOD + '[f]\ntexts = ["a [{color}]"]\nanswer = "{color}."', "not every text holds"),
        (GOOD + '[f]\ntexts = ["a"]', "misses 'answer'"),
        (GOOD + '[f]\ntexts = ["a"]\nanswer = "B."\nansver = "C."', "unknown 'ansver'"),
        (GOOD + f'[f]\ntexts = ["a"]\nanswer = "{"b" * 121}"', "over 120"),
        (GOOD + '[f]\ntexts = ["{x}"]\nanswer = "B."\ncolumns = ["x", "y"]\nrows = "1"', "row '1'"),
        ('[f]\ntexts = ["a"]\nanswer = "B."', "misses 'kind'"),
        ("[f", "Expected ']'"),
        ('kind = "fact"', "no request families"),
    ],
)
def test_a_faulty_corpus_is_told_in_one_line(tmp_path, text, reason):
    with pytest.raises(RequestsError, match=r"family|no request") as told:
        load(corpus(tmp_path, text))
    message = str(told.value)
    assert reason in message
    assert "\n" not in message


def test_two_families_of_one_name_are_refused(tmp_path):
    for name in ("one", "two"):
        text = 'kind = "fact"\n[same]\ntexts = ["a"]\nanswer = "B."'
        (tmp_path / f"{name}.toml").write_text(text)
    with pytest.raises(RequestsError, match=r"two.toml: \[same\] has the name"):
        load(tmp_path)


def test_ranges_are_spelled_out(tmp_path):
    (family,) = load(corpus(tmp_path, GOOD + '[f]\ntexts = ["a {color}"]\nanswer = "{color}."'))
    assert list(family.texts()) == ["a red", "a one", "a two", "a three"]


def test_a_template_expands_to_all_its_wordings():
    wording = parse("(turn|switch) on[ the] {x}")
    texts = list(expand(wording, {"x": ["fan", "tv"]}))
    assert len(texts) == 8
    assert "turn on the fan" in texts
    assert "switch on tv" in texts
    assert draw(wording, {"x": ["fan"]}, random.Random(0)) in texts


def test_every_wording_of_a_template_matches_it():
    wording = parse("(set|start) [a] {n} [minute] timer")
    for text in expand(wording, {"n": ["five", "twenty five"]}):
        squeezed = text.replace(" ", "")
        values = {"n": {"five": "five", "twentyfive": "twenty five"}}
        assert list(matches(wording, values, squeezed))
    assert not list(matches(wording, values, "setatimer"))


def test_only_slots_outside_options_are_required():
    assert required_slots(parse("{a} [{b}] ({c}|x {c}) ({d}|e)")) == {"a", "c"}


@pytest.mark.parametrize("template", ["a)", "(a", "[a)", "a]", "{a", "a}", "{A}"])
def test_a_malformed_template_is_refused(template):
    with pytest.raises(WordingError, match=r"unbalanced|stray"):
        parse(template)
