"""What goes with an utterance, so that an engine which came later knows what was said."""

import json
from typing import Any

import pytest

from assistant.mqtt.envelope import Envelope
from assistant.mqtt.rooms import MAX_SAID_BYTES, MOST_SAID, AnswerPayload
from assistant.satellites.dispatch import About
from assistant.satellites.thread import CONTINUED_S, Thread
from assistant.turn import EndReason
from tests.audio.support import FakeClock
from tests.satellites.test_dispatch import reply


def answer(turn: str, *, answers: str | None = None, asks: bool = False) -> AnswerPayload:
    told: dict[str, Any] = {"turn": turn, "engine": "e1", "kind": "reply", "reply": reply(turn)}
    if asks:
        told["question"] = {"expects": ["yes"], "timeout_s": 8}
    return AnswerPayload.read(json.dumps({"v": 1, "answers": answers, **told}).encode())


def turns(said: tuple[AnswerPayload, ...]) -> list[str]:
    return [each.turn for each in said]


async def test_questions_and_their_answers_belong_together():
    thread = Thread(FakeClock())
    assert thread.before(None) == ()
    for each in (
        answer("t0"),
        answer("t1", asks=True),
        answer("t2", answers="t1", asks=True),
    ):
        thread.add(each)
    assert turns(thread.before("t2")) == ["t1", "t2"]
    assert thread.before("t1") == ()
    thread.add(answer("t3", answers="t2"))
    assert turns(thread.before(None)) == ["t1", "t2", "t3"]
    thread.add(answer("t4"))
    assert turns(thread.before(None)) == ["t4"]


async def test_a_question_that_nobody_answers_is_not_gone_on_from():
    thread = Thread(FakeClock())
    thread.add(answer("t1", asks=True))
    assert thread.before(None) == ()


async def test_nothing_is_gone_on_from_for_ever():
    clock = FakeClock()
    thread = Thread(clock)
    thread.add(answer("t1"))
    await clock.advance(CONTINUED_S)
    assert turns(thread.before(None)) == ["t1"]
    await clock.advance(1)
    assert thread.before(None) == ()


async def test_a_long_conversation_is_told_from_its_last_part():
    thread = Thread(FakeClock())
    for number in range(1, 20):
        thread.add(answer(f"t{number}", answers=f"t{number - 1}", asks=True))
    assert turns(thread.before("t19")) == [f"t{number}" for number in range(12, 20)]
    assert len(thread.before("t19")) == MOST_SAID


@pytest.mark.parametrize(("length", "told"), [(10, 1), (MAX_SAID_BYTES, 0)])
def test_what_is_too_long_is_not_told(length, told):
    long = answer("t1")
    assert long.reply is not None
    long = long.model_copy(update={"reply": long.reply.model_copy(update={"text": "x" * length})})
    about = About("t2", EndReason.SILENCE, said=(long,))
    said = [value for name, value in about.told if name == "said"]
    assert len(said) == told
    if told:
        assert AnswerPayload.read(said[0].encode()) == long
        assert Envelope(user=about.told).get("turn") == "t2"
