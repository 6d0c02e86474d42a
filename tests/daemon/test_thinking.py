"""What plugins may ask of the bundled model."""

from dataclasses import replace

import pytest

from assistant.audio.files import load_audio
from assistant.thinking import MAX_TURNS, Thinker
from engines.diffa import Ask, Engine
from engines.infilling import infill
from tests.daemon.support import FakeWorker
from tests.support.assistant import RECORDINGS, any_model

LIGHT = RECORDINGS / "1-light.opus"


@pytest.fixture(scope="module")
def engine():
    return Engine.load(any_model())


@pytest.fixture(scope="module")
def audio(engine):
    return load_audio(LIGHT, engine.checkpoint.manifest.audio.longest_s).samples


@pytest.mark.parametrize(
    "sentence",
    ["turn ___ the kitchen light", "turn on the ___ light", "turn on the kitchen ___"],
)
def test_a_gap_is_filled_with_what_was_heard_there(engine, audio, sentence):
    assert infill(engine, sentence, engine.encode(audio)) == "turn on the kitchen light"


def test_a_sentence_without_a_gap_is_refused(engine, audio):
    with pytest.raises(ValueError, match="has no gap"):
        infill(engine, "turn on the light", engine.encode(audio))


async def test_a_plugin_fills_gaps_from_the_sound_of_its_turn(engine, audio):
    thinker = Thinker(FakeWorker(), lambda: engine)
    thinker.heard("1", audio)
    assert await thinker.fill("1", "turn on the ___ light") == "turn on the kitchen light"
    for turn in range(MAX_TURNS):
        thinker.heard(f"later {turn}", audio)
    with pytest.raises(ValueError, match="turn 1 was not heard here"):
        await thinker.fill("1", "turn on the ___ light")


async def test_a_model_that_only_hears_refuses_text(engine):
    with pytest.raises(ValueError, match="answers only what it hears"):
        await Thinker(FakeWorker(), lambda: engine).ask("Name a fruit.")


@pytest.mark.parametrize(("found", "text"), [(None, "Name a fruit."), ("engine", "x" * 3000)])
async def test_what_cannot_be_asked_is_refused(engine, found, text):
    thinker = Thinker(FakeWorker(), lambda: engine if found else None)
    with pytest.raises(ValueError, match=r"no model here|too many for the model"):
        await thinker.ask(text)


async def test_a_model_with_a_prompt_for_text_answers_it(engine):
    manifest = engine.checkpoint.manifest
    told = replace(manifest, prompts={**manifest.prompts, "text": "{text}<|answer|>"})
    reads = Engine(replace(engine.checkpoint, manifest=told), engine.backend)
    blocks = reads.generate([Ask("text", text="name a fruit")])
    expected = "".join(block.text for block in blocks).strip()
    assert expected
    assert await Thinker(FakeWorker(), lambda: reads).ask("name a fruit") == expected
