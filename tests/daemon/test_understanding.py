"""How a transcript is weighed against the plugins' sentences, on an engine that is a fake."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from assistant.grammar import Heard
from assistant.settings import EngineSettings
from assistant.understanding import (
    FAVOUR,
    FREEDOM_COST,
    KNOWN_LOSS,
    SPELLED_LOSS,
    EngineMind,
)
from assistant.weighing import LENIENCE, MARGIN
from assistant.worker import Cancel, Cancelled
from engines.diffa import Prefix, Score, TextBlock
from engines.schedule import Schedule, Threshold
from engines.stock import Recalled
from engines.words import Reading

SOUND = np.zeros(16_000, np.int16)


@dataclass
class FakeEngine:
    """Says what it is told to, and finds sentences as probable as it is told."""

    transcript: str
    likelihood: dict[str, float] = field(default_factory=dict)
    reading: Reading | None = None
    """What it spells, if it does."""
    recalled: Recalled | None = None
    """The question that is nearest to what it spells."""
    needed: int = 0
    """Passes before an answer is there."""
    calls: list[str] = field(default_factory=list)
    schedule: Schedule = field(default_factory=lambda: Schedule(rule=Threshold(0.5), stop_ids=(0,)))

    def encode(self, audio: Any) -> Prefix:
        self.calls.append("encode")
        return Prefix(np.zeros((1, 4), np.float32), len(audio) / 16_000)

    def generate(self, asks: Any, cancel: Any) -> Any:
        self.calls.append("+".join(ask.prompt for ask in asks))
        texts = {"transcribe": self.transcript, "answer": "An answer."}
        for index, ask in enumerate(asks):
            if any(cancel() for _ in range(self.needed or 1)):
                return
            yield TextBlock(index, f" {texts[ask.prompt]} ", (0.9, 0.7), 3 + index, True, True)

    @property
    def spells(self) -> bool:
        return self.reading is not None

    def read(self, _prefix: Prefix) -> Reading | None:
        return self.reading if self.reading and self.reading.text else None

    def recall(self, _prefix: Prefix) -> Recalled | None:
        return self.recalled

    def known_answer(self, question: str) -> str:
        return {"how are you": "Fine."}.get(question, "")

    def score(self, texts: Any, prompt: str, prefix: Any) -> list[Score]:
        self.calls.append("score")
        return [Score(0.0, self.likelihood.get(text, -5.0)) for text in texts]


def mind(engine: FakeEngine, near: list[str], known: set[str] | None = None) -> EngineMind:
    settings = EngineSettings(threshold=0.8)
    return EngineMind(engine, lambda *_: near, lambda text: text in (known or set()), settings)


def test_transcript_and_answer_are_denoised_together_over_one_prefix():
    engine = FakeEngine("light on")
    understood = mind(engine, [], known={"light on"}).understand(Cancel(), SOUND)
    assert engine.calls == ["encode", "transcribe+answer"]
    assert (understood.transcript, understood.answer) == ("light on", "An answer.")
    assert (understood.confidence, understood.passes) == (0.8, 4)


def test_what_a_plugin_understands_is_not_weighed_again():
    engine = FakeEngine("light on")
    mind(engine, ["lights on"], known={"light on"}).understand(Cancel(), SOUND)
    assert "score" not in engine.calls


@pytest.mark.parametrize(
    ("likelihood", "taken"),
    [(-1.0 - LENIENCE + 0.01, "kitchen light on"), (-1.0 - LENIENCE - 0.01, "kitchen night on")],
)
def test_a_close_sentence_of_a_plugin_is_taken_if_it_is_nearly_as_probable(
    likelihood: float, taken: str
):
    heard, meant = "kitchen night on", "kitchen light on"
    engine = FakeEngine(heard, {heard: -1.0, meant: likelihood, "kitchen fight on": -9.0})
    understood = mind(engine, ["kitchen fight on", meant]).understand(Cancel(), SOUND)
    assert understood.transcript == taken


@pytest.mark.parametrize(
    ("likelihood", "taken"),
    [(-2.0 + MARGIN + 0.01, "lamp off"), (-2.0 + MARGIN - 0.01, "night on")],
)
def test_another_sentence_has_to_be_much_more_probable(likelihood: float, taken: str):
    engine = FakeEngine("night on", {"night on": -2.0, "lamp off": likelihood})
    understood = mind(engine, ["lamp off"]).understand(Cancel(), SOUND)
    assert understood.transcript == taken


def test_silence_is_neither_weighed_nor_sure():
    engine = FakeEngine("")
    understood = mind(engine, ["light on"]).understand(Cancel(), SOUND)
    assert (understood.transcript, "score" in engine.calls) == ("", False)


def test_cancelled_work_stops_before_it_weighs():
    engine, cancel = FakeEngine("night on"), Cancel()
    cancel.set()
    with pytest.raises(Cancelled):
        mind(engine, ["light on"]).understand(cancel, SOUND)
    assert "score" not in engine.calls


def test_a_partial_is_transcribed_alone():
    engine = FakeEngine("turn on")
    assert mind(engine, []).transcribe(Cancel(), SOUND) == "turn on"
    assert engine.calls == ["encode", "transcribe"]


@pytest.mark.parametrize(
    ("reading", "calls"),
    [(None, ["encode", "answer", "score"]), (Reading("on", -1.0, 0.1), ["encode", "answer"])],
)
def test_warming_up_runs_every_graph(reading: Reading | None, calls: list[str]):
    engine = FakeEngine("", reading=reading)
    mind(engine, []).warm_up()
    assert engine.calls == calls


def test_warming_up_makes_what_the_plugins_say_ready_though_nothing_was_said():
    asked: list[Prefix] = []

    def hear(prefix: Prefix) -> list[Heard]:
        asked.append(prefix)
        return []

    engine = FakeEngine("", reading=Reading("", 0.0, 0.0))
    settings = EngineSettings(threshold=0.8)
    EngineMind(engine, lambda *_: [], lambda _: False, settings, hear).warm_up()
    assert len(asked) == 1


def test_what_a_model_spells_is_read_and_not_denoised():
    engine = FakeEngine("", reading=Reading("who is it", -2.0, 0.5))
    understood = mind(engine, ["who is in"]).understand(Cancel(), SOUND)
    assert (understood.transcript, understood.answer) == ("who is it", "An answer.")
    assert understood.confidence == pytest.approx(np.exp(-0.5), abs=1e-3)
    assert engine.calls == ["encode", "answer"]
    assert mind(engine, []).transcribe(Cancel(), SOUND) == "who is it"


@pytest.mark.parametrize(
    ("loss", "said", "answer"),
    [
        (KNOWN_LOSS - 0.01, "who is it", "It is me."),
        (KNOWN_LOSS + 0.01, "hoo is it", "An answer."),
    ],
)
def test_a_question_known_by_heart_is_answered_without_a_pass(loss: float, said: str, answer: str):
    recalled = Recalled("who is it", "It is me.", loss)
    engine = FakeEngine("", reading=Reading("hoo is it", -2.0, 0.5), recalled=recalled)
    understood = mind(engine, []).understand(Cancel(), SOUND)
    assert (understood.transcript, understood.answer) == (said, answer)
    assert (understood.passes == 0) == (answer == "It is me.")


@pytest.mark.parametrize(
    ("loss", "said"), [(0.49 + FAVOUR, "light on"), (0.51 + FAVOUR, "who is it")]
)
def test_a_plugin_and_a_known_question_are_told_apart_by_the_sound(loss: float, said: str):
    recalled = Recalled("who is it", "It is me.", 0.5)
    engine = FakeEngine("", reading=Reading("hoo is it", -2.0, 0.5), recalled=recalled)
    settings = EngineSettings(threshold=0.8)
    spelled = [Heard("light on", 0, loss)]
    listening = EngineMind(engine, lambda *_: [], lambda _: False, settings, lambda _: spelled)
    assert listening.understand(Cancel(), SOUND).transcript == said


def test_words_that_are_a_known_question_are_answered_by_heart():
    engine = FakeEngine("", reading=Reading("how are you", -2.0, 0.5))
    assert mind(engine, []).understand(Cancel(), SOUND).answer == "Fine."
    assert mind(engine, []).recall("How are you?") == "Fine."
    assert mind(engine, []).recall("Who are you?") == ""


def test_a_spelling_of_silence_is_no_sentence_of_a_plugin():
    engine = FakeEngine("", reading=Reading("", 0.0, 0.0))
    settings = EngineSettings(threshold=0.8)
    spelled = [Heard("light on", 0, 0.1)]
    listening = EngineMind(engine, lambda *_: [], lambda _: False, settings, lambda _: spelled)
    assert listening.understand(Cancel(), SOUND).transcript == ""


@pytest.mark.parametrize(
    ("loss", "freedom", "taken"),
    [
        (SPELLED_LOSS - 0.01, 0.0, "kitchen light on"),
        (SPELLED_LOSS + 0.01, 0.0, "kids and i go on"),
        (SPELLED_LOSS - 0.01 - FREEDOM_COST, 1.0, "kitchen light on"),
        (SPELLED_LOSS + 0.01 - FREEDOM_COST, 1.0, "kids and i go on"),
    ],
)
def test_a_sentence_that_the_sound_spells_is_taken_if_it_is_near_enough(
    loss: float, freedom: float, taken: str
):
    engine = FakeEngine("", reading=Reading("kids and i go on", -9.0, 0.4))
    spelled = [Heard("kitchen light on", 0, loss, freedom), Heard("fan on", 1, 4.0)]
    settings = EngineSettings(threshold=0.8)
    listening = EngineMind(engine, lambda *_: [], lambda _: False, settings, lambda _: spelled)
    assert listening.understand(Cancel(), SOUND).transcript == taken
    assert "score" not in engine.calls


@pytest.mark.parametrize(("least", "answer"), [(0.79, "An answer."), (0.81, "")])
def test_an_answer_that_the_model_is_not_sure_of_is_not_given(least: float, answer: str):
    settings = EngineSettings(threshold=0.8)
    engine = FakeEngine("who is it")
    listening = EngineMind(engine, lambda *_: [], lambda _: False, settings, least_surety=least)
    assert listening.understand(Cancel(), SOUND).answer == answer


@pytest.mark.parametrize(("needed", "answer", "passes"), [(12, "An answer.", 3), (13, "", 12)])
def test_an_answer_that_has_to_be_sure_is_given_up_after_some_passes(
    needed: int, answer: str, passes: int
):
    settings = EngineSettings(threshold=0.8)
    engine = FakeEngine("", reading=Reading("who is it", -2.0, 0.5), needed=needed)
    listening = EngineMind(engine, lambda *_: [], lambda _: False, settings, least_surety=0.5)
    understood = listening.understand(Cancel(), SOUND)
    assert (understood.transcript, understood.answer) == ("who is it", answer)
    assert understood.passes == passes
    patient = EngineMind(engine, lambda *_: [], lambda _: False, settings)
    assert patient.understand(Cancel(), SOUND).answer == "An answer."
