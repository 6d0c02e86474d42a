"""What the plugins' sentences are held to be, when the sound is spelled badly."""

from datetime import time, timedelta
from typing import Annotated

import numpy as np
import pytest
from tokenizers import Tokenizer

from assistant.grammar import Grammar, Speller
from assistant.slots import Choices, Range, slot_types
from assistant.templates import compile_template
from assistant.understanding import NANO
from engines.checkpoints import Checkpoint
from engines.diffa import Prefix
from engines.spelling import pieces_of
from engines.words import Reading

BLANK = 1
TOKENIZER = Tokenizer.from_file(str(NANO / "tokenizer.json"))


async def handler(  # noqa: PLR0917 - a parameter for each slot
    turn,
    minutes: int = 0,
    length: timedelta = timedelta(),
    item: str = "",
    at: time = time(),
    degrees: Annotated[float, Range(-20, 100)] = 0.0,
    band: Annotated[str, Choices(["Blink-182", "The Kinks"])] = "",
):
    """Name the slots that the templates of these tests use."""


TYPES = slot_types(handler, None)


def grammar(*sources):
    templates = [compile_template(source, TYPES, {"lamp": "(light|lamp)"}) for source in sources]
    return Grammar(
        templates,
        lambda word: TOKENIZER.encode(word).ids,
        lambda frames: TOKENIZER.decode(pieces_of(frames, BLANK)).strip(),
    )


def spelled(text, *, doubt=0.0):
    """Frames that say `text`, each piece followed by a blank; some pieces hidden, by `doubt`."""
    pieces = [each for piece in TOKENIZER.encode(text).ids for each in (piece, BLANK)]
    frames = np.full((len(pieces), TOKENIZER.get_vocab_size()), np.log(1e-4), np.float32)
    frames[range(len(pieces)), pieces] = np.log(0.9)
    rng = np.random.default_rng(3)
    for frame in np.flatnonzero(rng.random(len(pieces)) < doubt):
        frames[frame] = np.log(1e-3)
        frames[frame, BLANK] = np.log(0.5)
    return frames


@pytest.mark.parametrize(
    "said",
    [
        "turn the lamp on",
        "turn on the light",
        "could you turn on the lamp please",
        "set it to forty eight percent",
        "a timer for one hour and ten minutes",
    ],
)
def test_every_wording_is_heard_as_it_is_said(said):
    heard = grammar(
        "turn [the] <lamp> (on|off)",
        "turn (on|off) [the] <lamp>",
        "set it to {minutes} percent",
        "[a] timer for {length}",
    )
    best = heard.hear(spelled(said), BLANK)[0]
    assert best.sentence == said
    assert best.loss == pytest.approx(0.0, abs=1e-3)


def test_a_sentence_is_found_through_gaps_in_its_spelling():
    heard = grammar("can i have a large cappuccino with two sugars", "turn the <lamp> on")
    frames = spelled("can i have a large cappuccino with two sugars", doubt=0.3)
    first, second = heard.hear(frames, BLANK)
    assert first.sentence == "can i have a large cappuccino with two sugars"
    assert (first.owner, second.owner) == (0, 1)
    assert first.loss < second.loss


def test_what_no_plugin_knows_is_far_from_all_of_them():
    heard = grammar("turn the <lamp> on", "timer for {length}")
    known = heard.hear(spelled("turn the light on", doubt=0.2), BLANK)[0]
    assert heard.hear(spelled("my sister lives in a small green house"), BLANK) == []
    other = heard.hear(spelled("light the on turn and for"), BLANK)
    assert other[0].loss > 2 * max(1.0, known.loss)


def test_free_text_is_spelled_by_the_sound_itself():
    heard = grammar("put {item} on the list")
    assert heard.hear(spelled("put green paint on the list"), BLANK)[0].sentence == (
        "put green paint on the list"
    )


def test_free_text_is_read_in_words_where_the_model_knows_them():
    templates = [compile_template("put {item} on the list", TYPES, {})]
    read = []

    def words(prefix):
        read.append(len(prefix.spelling))
        return Reading("green paint", -1.0, 0.1)

    prefix = Prefix(np.zeros((1, 4), np.float32), 1.0, spelled("put gren pant on the list"))
    speller = Speller(Checkpoint.open(NANO), lambda: templates, words)
    assert speller.hear(prefix)[0].sentence == "put green paint on the list"
    assert 0 < read[0] < len(prefix.spelling)


@pytest.mark.parametrize(
    "said",
    [
        "set it to three fifty percent",
        "set it to one hundred and five percent",
        "a timer for three quarters of an hour",
        "a timer for two and a half minutes",
        "be there at twenty past seven",
        "be there at sixteen forty five",
        "heat it to sixty two point five degrees",
        "heat it to twenty one and a half degrees",
        "play blink one eighty two",
    ],
)
def test_values_are_heard_in_the_ways_that_people_say_them(said):
    heard = grammar(
        "set it to {minutes} percent",
        "a timer for {length}",
        "be there at {at}",
        "heat it to {degrees} degrees",
        "play {band}",
    )
    best = heard.hear(spelled(said), BLANK)[0]
    assert best.sentence == said
    assert best.loss == pytest.approx(0.0, abs=1e-3)


def test_the_lattice_follows_the_plugins_that_are_loaded():
    templates = [compile_template("turn the light on", {}, {})]
    speller = Speller(Checkpoint.open(NANO), lambda: templates)
    prefix = Prefix(np.zeros((1, 4), np.float32), 1.0, spelled("make some tea"))
    assert speller.hear(prefix) == []
    templates = [compile_template("make [some] tea", {}, {})]
    assert speller.hear(prefix)[0].sentence == "make some tea"
    assert speller.hear(Prefix(np.zeros((1, 4), np.float32), 1.0)) == []


def test_free_text_and_what_is_left_unsaid_count_against_a_sentence():
    said = spelled("remind me to turn on the light in the hall")
    exact = grammar("remind me to turn on the light in the hall").hear(said, BLANK)[0]
    free = grammar("remind me to {item}").hear(said, BLANK)[0]
    short = grammar("light").hear(said, BLANK)[0]
    assert exact.loss < free.loss < short.loss


def test_the_more_sentences_there_are_the_freer_is_each_of_them():
    said = spelled("turn on the light")

    def freedom(*sources):
        return grammar(*sources).hear(said, BLANK)[0].freedom

    pieces = len(TOKENIZER.encode("turn on the light").ids)
    assert freedom("turn on the light") == 0.0
    assert freedom("turn (on|off) the (light|lamp|fan)") == pytest.approx(np.log(6) / pieces)
    assert freedom("turn on the light", "stop") == pytest.approx(np.log(2) / pieces)
    assert freedom("turn on [the] light {item}", "turn on the light") == pytest.approx(
        np.log(2) / pieces
    )
    assert freedom("turn on the light [for {minutes} minutes]") > np.log(100) / pieces
